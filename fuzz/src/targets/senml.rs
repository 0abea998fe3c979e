//! The codec `senml` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("senml", data);
}
