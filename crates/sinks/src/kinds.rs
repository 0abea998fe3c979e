//! The kinds of sinks that there are: the only list of them.

use std::marker::PhantomData;

use crate::sinks::{KindInfo, Registered};
use crate::{file, http, influxdb};

/// Every kind that this program was built with, in the order of the reference.
#[must_use]
pub fn all() -> &'static [&'static dyn KindInfo] {
    &[
        &Registered::<influxdb::Influxdb>(PhantomData),
        &Registered::<http::Http>(PhantomData),
        &Registered::<file::FileKind>(PhantomData),
    ]
}
