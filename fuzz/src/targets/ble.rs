//! The codec `ble` on any bytes, with a key and without.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::advertisement(data);
}
