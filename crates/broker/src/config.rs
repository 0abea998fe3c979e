//! `[broker]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use gateway_core::settings::{ByteSize, ListenAddress, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The embedded MQTT broker for the building's own devices (v5 and v3.1.1). Without this table there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Broker")]
pub struct Config {
    /// Address and port for plain MQTT; `0.0.0.0` is every IPv4 interface, `[::]` every interface.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:1883")]
    pub listen: Option<SocketAddr>,
    /// Address and port for MQTT over WebSocket.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:9001")]
    pub websocket: Option<SocketAddr>,
    /// Address and port for MQTT over TLS; needs `cert_file` and `key_file`.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:8883")]
    pub listen_tls: Option<SocketAddr>,
    /// Address and port for MQTT over WebSocket over TLS; needs `cert_file` and `key_file`.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:9883")]
    pub websocket_tls: Option<SocketAddr>,
    /// The broker's certificate and its chain (PEM). Relative to this file's directory.
    #[schemars(example = "broker.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(example = "broker.key")]
    pub key_file: Option<PathBuf>,
    /// Certificates (PEM) for verifying those of clients; with it, TLS clients must show one.
    #[schemars(example = "clients-ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// Whether clients without a user name may connect, and publish and subscribe to everything.
    pub anonymous: bool,
    /// The most clients connected at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_clients: usize,
    /// The largest MQTT packet.
    pub max_packet_size: ByteSize,
    /// The users that may connect. The name is the user name: `[broker.users.floor1]`.
    pub users: BTreeMap<String, User>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            websocket: None,
            listen_tls: None,
            websocket_tls: None,
            cert_file: None,
            key_file: None,
            ca_file: None,
            anonymous: false,
            max_clients: 2_000,
            max_packet_size: ByteSize(256 << 10),
            users: BTreeMap::new(),
        }
    }
}

/// One user of the embedded broker: one of `password`, `password_file` and `password_hash`, and the permissions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BrokerUser")]
pub struct User {
    /// The password; better in a separate file, in `password_file`, or as `password_hash`.
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password; its last newline is cut. Relative to this file's directory.
    #[schemars(example = "floor1.password")]
    pub password_file: Option<PathBuf>,
    /// The password's Argon2 hash as a PHC string, as the program `argon2 -e` prints it.
    #[schemars(example = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$…")]
    pub password_hash: Option<Secret>,
    /// Topic filters that the user may publish to.
    #[schemars(example = ["sensors/#"])]
    pub publish: Vec<String>,
    /// Topic filters that the user may subscribe to.
    #[schemars(example = ["actuators/floor1/#"])]
    pub subscribe: Vec<String>,
}
