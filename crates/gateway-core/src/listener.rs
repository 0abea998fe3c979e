//! The addresses of the configuration that the gateway listens on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::findings::{KeyPath, Report};

/// The transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// One address that the gateway listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The key that names it, or its table where the address is a default.
    pub key: KeyPath,
    /// TCP or UDP.
    pub transport: Transport,
    /// Address and port; port 0 is any free one.
    pub address: SocketAddr,
}

/// Reports each listener that cannot be open at the same time as one before it.
pub fn check_clashes(report: &mut Report, listeners: &[Listener]) {
    for (i, listener) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(i).find(|earlier| clash(earlier, listener));
        if let Some(Listener { key, address, .. }) = earlier {
            let here = listener.address;
            report.error(
                &listener.key,
                format!("{here} clashes with {key}, {address}; give each its own port"),
            );
        }
    }
}

fn clash(one: &Listener, two: &Listener) -> bool {
    one.transport == two.transport && addresses_clash(one.address, two.address)
}

fn addresses_clash(one: SocketAddr, two: SocketAddr) -> bool {
    // Linux takes [::] for IPv4 as well.
    let everything = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv6();
    let same = one.ip() == two.ip()
        || (one.ip().is_unspecified() && one.is_ipv4() == two.is_ipv4())
        || (two.ip().is_unspecified() && one.is_ipv4() == two.is_ipv4())
        || everything(one.ip())
        || everything(two.ip());
    one.port() != 0 && one.port() == two.port() && same
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listeners: &[(&str, Transport, &str)]) -> Vec<String> {
        let listeners: Vec<_> = listeners
            .iter()
            .map(|(key, transport, address)| Listener {
                key: KeyPath::of(key),
                transport: *transport,
                address: address.parse().unwrap(),
            })
            .collect();
        let mut report = Report::default();
        check_clashes(&mut report, &listeners);
        report.findings.iter().map(|finding| finding.key.to_string()).collect()
    }

    #[test]
    fn one_port_cannot_be_listened_on_twice() {
        use Transport::{Tcp, Udp};
        let one = ("a", Udp, "127.0.0.1:1700");
        assert_eq!(found(&[one, ("b", Udp, "127.0.0.1:1700")]), ["b"]);
        assert_eq!(found(&[one, ("b", Udp, "0.0.0.0:1700")]), ["b"]);
        assert_eq!(found(&[one, ("b", Udp, "[::]:1700")]), ["b"], "[::] takes IPv4 too");
        assert!(found(&[one, ("b", Tcp, "127.0.0.1:1700")]).is_empty());
        assert!(found(&[one, ("b", Udp, "127.0.0.2:1700")]).is_empty());
        assert!(found(&[("a", Udp, "127.0.0.1:0"), ("b", Udp, "127.0.0.1:0")]).is_empty());
    }
}
