//! `[devices.*]`: which name, codec and corrections belong to an address.
//!
//! A device is also known by its name, unless that is another's address: nobody gets the name without the rules.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use gateway_core::CodecId;

/// The configuration of one device, ready for use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceRules {
    pub name: String,
    /// Overrides the format of the adapter.
    pub codec: Option<CodecId>,
    pub rename: BTreeMap<String, String>,
    /// metric -> (scale, offset), applied after renaming: `value * scale + offset`.
    pub calibrate: BTreeMap<String, (f64, f64)>,
}

/// Addresses and names as devices send them -> what is configured for them.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    by_address: HashMap<String, DeviceRules, FixedState>,
    configured: usize,
    /// `unknown_devices = "accept"`.
    pub accept_unknown: bool,
    /// Most devices that the registry may hold.
    pub max_devices: u32,
}

impl Directory {
    pub fn new(
        devices: impl IntoIterator<Item = (String, DeviceRules)>,
        accept_unknown: bool,
        max_devices: u32,
    ) -> Self {
        let mut by_address: HashMap<_, DeviceRules, _> =
            devices.into_iter().map(|(address, rules)| (canonical(&address).into_owned(), rules)).collect();
        let configured = by_address.len();
        for rules in by_address.values().cloned().collect::<Vec<_>>() {
            by_address.entry(canonical(&rules.name).into_owned()).or_insert(rules);
        }
        Self { by_address, configured, accept_unknown, max_devices }
    }

    /// What is configured for an address in its canonical form.
    pub fn find(&self, canonical_address: &str) -> Option<&DeviceRules> {
        self.by_address.get(canonical_address)
    }

    /// How many devices are configured: they are always accepted.
    pub(crate) fn len(&self) -> usize {
        self.configured
    }
}

/// An address in the one form under which it is known.
pub fn canonical(address: &str) -> std::borrow::Cow<'_, str> {
    gateway_core::DeviceAddress::canonical(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(canonical("a4:c1:38:8d:18:b2"), "A4:C1:38:8D:18:B2");
        assert_eq!(canonical("70B3D57ED0000001"), "70b3d57ed0000001");
        assert_eq!(canonical("Lounge"), "Lounge");
        assert_eq!(canonical("a4-c1-38-8d-18-b2"), "a4-c1-38-8d-18-b2");
    }

    #[test]
    fn finds_a_device_however_its_mac_is_written() {
        let rules = DeviceRules { name: "lounge".into(), ..DeviceRules::default() };
        let directory = Directory::new([("a4:C1:38:8d:18:b2".to_owned(), rules)], true, 10);
        assert_eq!(directory.find(&canonical("A4:c1:38:8D:18:B2")).unwrap().name, "lounge");
        assert_eq!(directory.find("lounge").unwrap().name, "lounge");
        assert_eq!(directory.len(), 1);
    }

    #[test]
    fn an_address_goes_before_a_name() {
        let rules = |name: &str| DeviceRules { name: name.into(), ..DeviceRules::default() };
        let devices = [("attic".to_owned(), rules("roof")), ("roof".to_owned(), rules("attic"))];
        let directory = Directory::new(devices, true, 10);
        assert_eq!(directory.find("attic").unwrap().name, "roof");
        assert_eq!(directory.find("roof").unwrap().name, "attic");
    }
}
