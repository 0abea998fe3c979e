//! `[broker]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::settings::{ByteSize, HumanDuration, ListenAddress, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::bridge::config::{Bridge, BridgeTopic, Direction};

/// The embedded MQTT broker for the building's own devices (MQTT 3.1, 3.1.1 and 5). Without this table there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Broker")]
pub struct Config {
    /// Address and port for plain MQTT; `0.0.0.0` is every IPv4 interface, `[::]` every interface.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:1883")]
    pub listen: Option<SocketAddr>,
    /// Address and port for MQTT over WebSocket, on any path.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:9001")]
    pub websocket: Option<SocketAddr>,
    /// Address and port for MQTT over TLS; needs `cert_file` and `key_file`.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:8883")]
    pub listen_tls: Option<SocketAddr>,
    /// Address and port for MQTT over WebSocket over TLS; needs `cert_file` and `key_file`.
    #[schemars(with = "Option<ListenAddress>", example = "0.0.0.0:9883")]
    pub websocket_tls: Option<SocketAddr>,
    /// Path of a Unix socket for plain MQTT, for programs on this machine. Relative to this file's directory.
    #[schemars(example = "/run/riser/mqtt.sock")]
    pub socket: Option<PathBuf>,
    /// The broker's certificate and its chain (PEM). Relative to this file's directory. A reload reads it again, with the next two.
    #[schemars(example = "broker.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(example = "broker.key")]
    pub key_file: Option<PathBuf>,
    /// Certificates (PEM) for verifying those of clients; with it, TLS clients must show one.
    #[schemars(example = "clients-ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// With `ca_file`: the common name of a client's certificate is its user name, and no password is asked for.
    pub user_from_certificate: bool,
    /// Whether clients without a user name may connect. They may publish and subscribe to everything, unless the next two keys
    /// say less.
    pub anonymous: bool,
    /// Topic filters that clients without a user name may publish to; without this key, everything.
    #[schemars(example = ["sensors/%c/#"])]
    pub anonymous_publish: Option<Vec<String>>,
    /// Topic filters that clients without a user name may subscribe to; without this key, everything.
    #[schemars(example = ["public/#"])]
    pub anonymous_subscribe: Option<Vec<String>>,
    /// The most clients connected at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_clients: usize,
    /// The most connections that one address opens in a second; more are closed at once. Programs on this machine have no
    /// such limit.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connects_per_second: u32,
    /// How long a new connection may take until its CONNECT.
    pub connect_timeout: HumanDuration,
    /// The most bytes of CONNECTs that have not come whole, of all connections before their login. Then the address that has
    /// most of them loses its largest.
    pub max_connect_memory: ByteSize,
    /// How long a packet of more than 8 KiB may take to come whole. Such packets share a quarter of
    /// `max_memory`; when it is full, the user who has most of it loses the largest.
    pub packet_timeout: HumanDuration,
    /// The largest MQTT packet, either way.
    pub max_packet_size: ByteSize,
    /// The largest payload of a message; larger ones are refused, and the connection stays. Without this key, only the packet
    /// is bounded.
    #[schemars(example = "1MiB")]
    pub max_payload_size: Option<ByteSize>,
    /// The most QoS 1 and 2 messages on their way from or to one client (Receive Maximum).
    #[schemars(range(min = 1, max = 65_535))]
    pub max_in_flight: u16,
    /// The most bytes of messages that wait for one client, connected or not. Then its oldest ones are dropped.
    pub max_queue_size: ByteSize,
    /// The most bytes of messages that wait for all clients together, with their subscriptions. Then the oldest ones of the
    /// longest queue are dropped. For subscriptions, wills and the like, one client may use a quarter of it.
    pub max_memory: ByteSize,
    /// The most bytes of retained messages. When it is full, the user who has most of them loses the newest.
    pub max_retained_size: ByteSize,
    /// The most sessions that are kept for clients that are away. Then the user who has the most loses the newest.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_sessions: usize,
    /// The most subscriptions of one client.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_subscriptions: usize,
    /// How long a session is kept while its client is away, at most; its messages wait as long.
    pub session_expiry: HumanDuration,
    /// The longest keep-alive. A client of MQTT 5 that wants a longer one, or none, gets this one; one of MQTT 3 is
    /// refused. Without this key, any.
    #[schemars(example = "10m")]
    pub max_keep_alive: Option<HumanDuration>,
    /// Whether retained messages are kept.
    pub retain: bool,
    /// The users that may connect. The name is the user name: `[broker.users.floor1]`.
    pub users: BTreeMap<String, User>,
    /// Bridges to other brokers. The name is for logs and `health`: `[broker.bridges.campus]`.
    pub bridges: BTreeMap<String, Bridge>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            websocket: None,
            listen_tls: None,
            websocket_tls: None,
            socket: None,
            cert_file: None,
            key_file: None,
            ca_file: None,
            user_from_certificate: false,
            anonymous: false,
            anonymous_publish: None,
            anonymous_subscribe: None,
            max_clients: 2_000,
            max_connects_per_second: 500,
            connect_timeout: HumanDuration(Duration::from_secs(10)),
            max_connect_memory: ByteSize(4 << 20),
            packet_timeout: HumanDuration(Duration::from_secs(30)),
            max_packet_size: ByteSize(8 << 20),
            max_payload_size: None,
            max_in_flight: 64,
            max_queue_size: ByteSize(4 << 20),
            max_memory: ByteSize(64 << 20),
            max_retained_size: ByteSize(64 << 20),
            max_sessions: 5_000,
            max_subscriptions: 10_000,
            session_expiry: HumanDuration(Duration::from_hours(24 * 7)),
            max_keep_alive: None,
            retain: true,
            users: BTreeMap::new(),
            bridges: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Takes over what may change while the broker runs: who may connect, what each may do, and the certificates.
    pub fn take_reloaded(&mut self, new: &Self) {
        self.anonymous = new.anonymous;
        self.anonymous_publish.clone_from(&new.anonymous_publish);
        self.anonymous_subscribe.clone_from(&new.anonymous_subscribe);
        self.users.clone_from(&new.users);
        self.cert_file.clone_from(&new.cert_file);
        self.key_file.clone_from(&new.key_file);
        self.ca_file.clone_from(&new.ca_file);
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
    /// Topic filters that the user may publish to. `%u` stands for the user name, `%c` for the client id.
    #[schemars(example = ["sensors/#"])]
    pub publish: Vec<String>,
    /// Topic filters that the user may subscribe to, with `%u` and `%c` as in `publish`.
    #[schemars(example = ["actuators/floor1/#"])]
    pub subscribe: Vec<String>,
}
