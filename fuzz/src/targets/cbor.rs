//! The codec `cbor` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("cbor", data);
}
