//! `[devices.*]`: which name, codec and corrections belong to an address.

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

/// Addresses as devices send them -> what is configured for them.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    by_address: HashMap<String, DeviceRules, FixedState>,
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
        let by_address =
            devices.into_iter().map(|(address, rules)| (canonical(&address).into_owned(), rules)).collect();
        Self { by_address, accept_unknown, max_devices }
    }

    /// What is configured for an address in its canonical form.
    pub fn find(&self, canonical_address: &str) -> Option<&DeviceRules> {
        self.by_address.get(canonical_address)
    }

    /// How many devices are configured: they are always accepted.
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
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
    }
}
