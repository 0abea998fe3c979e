//! The codec `gatt` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("gatt", data);
}
