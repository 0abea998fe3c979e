//! The codec `node` on any bytes, as they are, as a batch and sealed.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode_node(data);
}
