//! The codec `gatt` on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::decode("gatt", data));
