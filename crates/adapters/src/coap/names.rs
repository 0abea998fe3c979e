//! Translates the device names in paths to the names in the gateway.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use gateway_core::DeviceAddress;

/// The configuration of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredDevice {
    /// Its name upstream.
    pub name: String,
    /// Whether it has its own codec, which is then used for every content format.
    pub has_codec: bool,
    /// The new names of its metrics.
    pub rename: BTreeMap<String, String>,
}

/// `[devices.*]` by address.
#[derive(Debug, Clone, Default)]
pub struct Names(HashMap<String, ConfiguredDevice>);

impl Names {
    /// Makes a table from addresses and devices.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = (String, ConfiguredDevice)>) -> Self {
        let canonical = |(address, device): (String, ConfiguredDevice)| {
            (DeviceAddress::canonical(&address).into_owned(), device)
        };
        Self(devices.into_iter().map(canonical).collect())
    }

    /// The name of the device for the segment of a path, and its configuration.
    pub(super) fn resolve<'a>(&'a self, segment: &'a str) -> (Cow<'a, str>, Option<&'a ConfiguredDevice>) {
        let address = DeviceAddress::canonical(segment);
        match self.0.get(&*address) {
            Some(device) => (Cow::Borrowed(&*device.name), Some(device)),
            None => (address, None),
        }
    }
}
