//! The format `chirpstack` on any bytes, with and without a codec of the device's own.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::open("chirpstack", data));
