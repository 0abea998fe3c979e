//! IP networks in CIDR notation such as `10.0.0.0/8`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no network; write an address and the length of its prefix, such as \"10.0.0.0/8\"")]
pub struct NetworkError {
    text: String,
}

/// A network: all addresses with the same prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// The length of the prefix in bits.
    prefix: u32,
}

impl Network {
    /// Whether `peer` is one of its addresses. An IPv4 address that came to an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, peer: SocketAddr) -> bool {
        let (own, width) = bits(self.address);
        let (other, its_width) = bits(peer.ip().to_canonical());
        width == its_width && (own ^ other).checked_shr(width.saturating_sub(self.prefix)).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (_, width) = bits(address);
        let prefix = prefix.map_or(Ok(width), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > width { Err(wrong()) } else { Ok(Self { address, prefix }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_a_network_that_begins_as_it_does() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1:1700", "11.0.0.1:1700"),
            ("192.168.1.17/24", "192.168.1.200:1", "192.168.2.17:1"),
            ("192.168.1.17", "192.168.1.17:1", "192.168.1.16:1"),
            ("10.0.0.0/8", "[::ffff:10.1.2.3]:1", "[fe80::1]:1"),
            ("0.0.0.0/0", "203.0.113.9:1", "[fe80::1]:1"),
            ("fd00::/8", "[fd12::1]:1", "[fe80::1]:1"),
            ("::/0", "[fe80::1]:1", "10.0.0.1:1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "::/129", "host/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
