//! A struct codec's file of any text, and what it makes of any bytes: the file ends at the first NUL, the payload follows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| riser_fuzz::decode_by_file(data));
