//! The codec `node` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("node", data);
}
