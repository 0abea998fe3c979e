//! The codec `zigbee2mqtt` on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::decode("zigbee2mqtt", data));
