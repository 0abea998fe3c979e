//! The codec `senml` on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::decode("senml", data));
