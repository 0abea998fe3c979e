//! The codec `tasmota` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("tasmota", data);
}
