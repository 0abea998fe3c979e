//! The codec `zigbee2mqtt` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("zigbee2mqtt", data);
}
