//! The format `ttn` on any bytes, with and without a codec of the device's own.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::open("ttn", data);
}
