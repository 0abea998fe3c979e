//! `[adapters.coap.*]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use gateway_core::settings::{ByteSize, HumanDuration, ListenAddress, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices that speak CoAP: they report to Riser, or Riser observes them. Without `listen`, `listen_dtls` and `observe`
/// Riser listens on 127.0.0.1:5683.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CoapAdapter")]
pub struct CoapConfig {
    /// Address and port for CoAP without encryption: any host that reaches it may report and read; `[::]` is every interface.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:5683")]
    pub listen: Option<SocketAddr>,
    /// Address and port for CoAP over DTLS 1.2 with pre-shared keys; needs `psk`.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:5684")]
    pub listen_dtls: Option<SocketAddr>,
    /// The devices that may open a DTLS session. The name is the device's identity: `[adapters.coap.lan.psk.sensor01]`.
    pub psk: BTreeMap<String, Psk>,
    /// The resources that Riser observes.
    pub observe: Vec<Observe>,
    /// Riser's identity and key for devices at `coaps://`, observed or commanded by an alert. The name is the host as in their
    /// addresses, with the port if there is one: `[adapters.coap.lan.servers."10.0.0.9"]`.
    pub servers: BTreeMap<String, Server>,
    /// The largest payload; a larger one is answered with 4.13.
    pub max_size: ByteSize,
    /// Whether devices find Riser by multicast ("All CoAP Nodes"); not if `listen` is loopback.
    pub multicast: bool,
    /// The most peers whose last messages are remembered, and the most DTLS sessions; beyond that, those silent the longest are dropped.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_peers: usize,
    /// The most observers of values; beyond that, a request to observe is answered once.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_observers: usize,
}

impl Default for CoapConfig {
    fn default() -> Self {
        Self {
            listen: None,
            listen_dtls: None,
            psk: BTreeMap::new(),
            observe: Vec::new(),
            servers: BTreeMap::new(),
            max_size: ByteSize(64 << 10),
            multicast: true,
            max_peers: 4_000,
            max_observers: 4_000,
        }
    }
}

impl CoapConfig {
    /// Where nothing says what to listen on or observe.
    pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5683);

    /// `listen`, or loopback where there is nothing else to do.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        let idle = self.listen_dtls.is_none() && self.observe.is_empty();
        self.listen.or_else(|| idle.then_some(Self::DEFAULT_LISTEN))
    }
}

/// One DTLS identity: its key, and the devices it may report and read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CoapPsk")]
pub struct Psk {
    /// The key, as text or `hex:…`; better in a separate file, in `key_file`.
    #[schemars(example = &"hex:000102030405060708090a0b0c0d0e0f")]
    pub key: Option<Secret>,
    /// A file with the key: its bytes without a last newline, or `hex:…`. Relative to this file's directory.
    #[schemars(example = "sensor01.psk")]
    pub key_file: Option<PathBuf>,
    /// The devices it may report and read: names or addresses with `*` and `?`.
    #[schemars(example = ["sensor01"])]
    pub devices: Vec<String>,
}

/// A resource of a device that Riser observes; one that cannot be observed is polled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CoapObserve")]
pub struct Observe {
    /// The resource: `coap://` or `coaps://`, host and path.
    #[schemars(example = "coap://10.0.0.9/temperature")]
    pub url: String,
    /// The device of its values.
    #[schemars(example = "ahu-3")]
    pub device: String,
    /// The metric, if the resource is a bare number.
    #[serde(default)]
    #[schemars(example = &"temperature")]
    pub metric: Option<String>,
    /// The poll interval if it cannot be observed.
    #[serde(default = "Observe::usual_every")]
    pub every: HumanDuration,
}

impl Observe {
    const fn usual_every() -> HumanDuration {
        HumanDuration::from_secs(60)
    }
}

/// Riser's identity at a device's DTLS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CoapServer")]
pub struct Server {
    /// The identity that Riser sends.
    #[schemars(example = &"riser")]
    pub identity: String,
    /// The key, as text or `hex:…`; better in a separate file, in `key_file`.
    #[serde(default)]
    #[schemars(example = &"hex:000102030405060708090a0b0c0d0e0f")]
    pub key: Option<Secret>,
    /// A file with the key: its bytes without a last newline, or `hex:…`. Relative to this file's directory.
    #[serde(default)]
    #[schemars(example = "ahu-3.psk")]
    pub key_file: Option<PathBuf>,
}
