//! The codec `ble` on any bytes, with a key and without.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::advertisement(data));
