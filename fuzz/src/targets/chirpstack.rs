//! The format `chirpstack` on any bytes, with and without a codec of the device's own.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::open("chirpstack", data);
}
