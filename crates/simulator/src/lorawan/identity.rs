//! Identities and keys of simulated devices. They depend only on the seed, so that the gateway can be configured before.
//!
//! They are not secret: the seed determines the keys.

use crate::chance::mix;

/// `riser` in ASCII, with the bit set that says "locally administered"; a byte of the seed and two of the number follow.
const EUI: u64 = 0x7269_7365_7200_0000;
/// The first number of forwarders, above those of devices.
const FIRST_FORWARDER: u64 = 0xff00;
/// The addresses of NetID 000001, for everybody's use like those of 000000, which `riser run` takes for devices that join.
const ADDRESS: u32 = 0x0200_0000;

/// The EUIs, address and keys of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub(super) dev_eui: u64,
    pub(super) join_eui: u64,
    pub(super) app_key: [u8; 16],
    pub(super) dev_addr: u32,
    pub(super) nwk_skey: [u8; 16],
    pub(super) app_skey: [u8; 16],
}

impl Identity {
    pub(super) fn new(seed: u64, device: usize) -> Self {
        let number = (device as u64) & 0xffff;
        let space = seed & 0xff;
        let [_, low @ ..] = (((space << 16) | number) as u32).to_be_bytes();
        let [a, b, c] = low;
        Self {
            dev_eui: EUI | space << 16 | number,
            join_eui: EUI,
            app_key: key(seed, number, 1),
            dev_addr: ADDRESS | u32::from_be_bytes([0, a, b, c]),
            nwk_skey: key(seed, number, 2),
            app_skey: key(seed, number, 3),
        }
    }

    /// 16 hex digits.
    #[must_use]
    pub fn dev_eui(&self) -> String {
        format!("{:016x}", self.dev_eui)
    }

    /// 16 hex digits; the same for all.
    #[must_use]
    pub fn join_eui(&self) -> String {
        format!("{:016x}", self.join_eui)
    }

    /// 32 hex digits: what a device joins with.
    #[must_use]
    pub fn app_key(&self) -> String {
        hex::encode(self.app_key)
    }

    /// 8 hex digits: the address in a session that needs no join.
    #[must_use]
    pub fn dev_addr(&self) -> String {
        format!("{:08x}", self.dev_addr)
    }

    /// 32 hex digits: the network's key of that session.
    #[must_use]
    pub fn nwk_skey(&self) -> String {
        hex::encode(self.nwk_skey)
    }

    /// 32 hex digits: the application's key of that session.
    #[must_use]
    pub fn app_skey(&self) -> String {
        hex::encode(self.app_skey)
    }
}

/// The EUI of a packet forwarder.
pub(super) const fn forwarder(seed: u64, number: usize) -> u64 {
    EUI | (seed & 0xff) << 16 | (FIRST_FORWARDER + number as u64)
}

fn key(seed: u64, device: u64, purpose: u64) -> [u8; 16] {
    let high = mix(mix(mix(seed) ^ device) ^ purpose);
    (u128::from(high) << 64 | u128::from(mix(high))).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_devices_share_a_number_or_a_key_nor_a_device_and_a_forwarder_an_eui() {
        let identities: Vec<_> =
            (1..=2).flat_map(|seed| (0..1_000).map(move |device| Identity::new(seed, device))).collect();
        let euis = identities.iter().map(|identity| identity.dev_eui);
        let euis: BTreeSet<_> = euis.chain((0..250).map(|number| forwarder(1, number))).collect();
        assert_eq!(euis.len(), 2_250);
        assert_eq!(identities.iter().map(|identity| identity.dev_addr).collect::<BTreeSet<_>>().len(), 2_000);
        let keys = identities.iter().flat_map(|i| [i.app_key, i.nwk_skey, i.app_skey]);
        assert_eq!(keys.collect::<BTreeSet<_>>().len(), 6_000);
    }

    #[test]
    fn numbers_and_keys_are_written_as_gateways_take_them() {
        let identity = Identity::new(3, 258);
        assert_eq!((&*identity.dev_eui(), &*identity.join_eui()), ("7269736572030102", "7269736572000000"));
        assert_eq!(identity.dev_addr(), "02030102");
        assert!([identity.app_key(), identity.nwk_skey(), identity.app_skey()].iter().all(|k| k.len() == 32));
    }
}
