//! The parts of the configuration that a kind of adapter may use besides its own tables.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_core::settings::Device;
use gateway_core::{DeviceAddress, Timestamp};

/// The configuration outside the adapters' tables.
#[derive(Debug)]
pub struct Site<'a> {
    /// The gateway's id.
    pub gateway: &'a str,
    /// The gateway's data folder.
    pub data_dir: &'a Path,
    /// `[gateway] timezone`, if it is set.
    pub timezone: Option<&'a str>,
    /// `[devices.*]`.
    pub devices: &'a BTreeMap<String, Device>,
    /// Other addresses of devices besides `address`, with the devices' names.
    pub addresses: Vec<(String, String)>,
    /// Whether there is an embedded broker.
    pub has_broker: bool,
    /// The wall clock, for dates in certificates.
    pub now: Timestamp,
}

impl Site<'_> {
    /// Finds a device by its name, its address, or another address of a kind.
    #[must_use]
    pub fn find_device(&self, text: &str) -> Option<(&str, &Device)> {
        let wanted = DeviceAddress::canonical(text);
        let same = |address: &str| DeviceAddress::canonical(address) == wanted;
        let by_address =
            || self.devices.iter().find(|(_, device)| device.address.as_deref().is_some_and(same));
        let by_kind = || {
            let (_, name) = self.addresses.iter().find(|(address, _)| same(address))?;
            self.devices.get_key_value(name)
        };
        let found = self.devices.get_key_value(text).or_else(by_address).or_else(by_kind);
        found.map(|(name, device)| (name.as_str(), device))
    }

    /// The address of a device: `address`, or the name of its table.
    #[must_use]
    pub fn address<'s>(name: &'s str, device: &'s Device) -> &'s str {
        device.address.as_deref().unwrap_or(name)
    }
}
