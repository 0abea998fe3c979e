//! The codec `cayenne-lpp` on any bytes.

pub(crate) fn run(data: &[u8]) {
    riser_fuzz::decode("cayenne-lpp", data);
}
