//! What a device in a path is called in the gateway.

use std::borrow::Cow;
use std::collections::HashMap;

use gateway_core::DeviceAddress;

/// What the configuration says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name upstream.
    pub name: String,
    /// It has a codec of its own, whatever the content format says.
    pub has_codec: bool,
}

/// `[devices.*]` by address.
#[derive(Debug, Clone, Default)]
pub struct Names(HashMap<String, Known>);

impl Names {
    /// Of these addresses.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = (String, Known)>) -> Self {
        let canonical =
            |(address, known): (String, Known)| (DeviceAddress::canonical(&address).into_owned(), known);
        Self(devices.into_iter().map(canonical).collect())
    }

    /// The name of the device that a path calls `said`, and whether it has a codec of its own.
    pub(super) fn resolve<'a>(&'a self, said: &'a str) -> (Cow<'a, str>, bool) {
        let address = DeviceAddress::canonical(said);
        match self.0.get(&*address) {
            Some(known) => (Cow::Borrowed(&*known.name), known.has_codec),
            None => (address, false),
        }
    }
}
