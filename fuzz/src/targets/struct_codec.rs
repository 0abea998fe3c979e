//! A struct codec's file of any text, and what it makes of any bytes: the file ends at the first NUL, the payload follows.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode_by_file(data);
}
