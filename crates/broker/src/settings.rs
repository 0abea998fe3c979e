//! The settings of a broker: plain values whose form is already checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{BridgeSettings, PasswordSource};

/// Listeners, users, storage and limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Plain MQTT; with port 0 the system chooses a free port.
    pub listen: Option<SocketAddr>,
    /// MQTT over WebSocket, on any path.
    pub websocket: Option<SocketAddr>,
    /// Plain MQTT on a Unix socket at this path.
    pub socket: Option<PathBuf>,
    /// The encrypted listeners.
    pub tls: Option<Tls>,
    /// Whether clients without a user name may connect.
    pub anonymous: bool,
    /// What they may publish to; `None`: everything.
    pub anonymous_publish: Option<Vec<String>>,
    /// What they may subscribe to; `None`: everything.
    pub anonymous_subscribe: Option<Vec<String>>,
    /// The common name of a client's certificate is its user name, and no password is asked for.
    pub user_from_certificate: bool,
    /// The clients with a user name.
    pub users: Vec<User>,
    /// Where sessions, queued and retained messages are kept; created where missing, used by one process at a time.
    pub data_dir: PathBuf,
    /// How often what is written is synced; zero: before it is acknowledged.
    pub sync_every: Duration,
    /// The bounds.
    pub limits: Limits,
    /// Bridges to other brokers.
    pub bridges: Vec<BridgeSettings>,
}

/// The encrypted listeners and their certificate (PEM files).
#[derive(Debug, Clone)]
pub struct Tls {
    /// MQTT over TLS.
    pub listen: Option<SocketAddr>,
    /// MQTT over WebSocket over TLS.
    pub websocket: Option<SocketAddr>,
    /// The broker's certificate and its chain.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// If set, a client must show a certificate signed by one of these; it still needs its password.
    pub client_ca_file: Option<PathBuf>,
}

/// A client's name, password and permissions. Permissions are MQTT topic filters; an empty list permits nothing.
#[derive(Debug, Clone)]
pub struct User {
    /// The MQTT user name.
    pub name: String,
    /// The password or its hash.
    pub password: PasswordSource,
    /// Topics it may publish to, last will included. No client may publish to `$SYS/…`.
    pub publish: Vec<String>,
    /// Topics it may subscribe to: a subscription is accepted if one of these covers it entirely.
    pub subscribe: Vec<String>,
}

/// Bounds on the memory and disk that clients can use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest MQTT packet, in bytes, either way.
    pub max_packet_size: u32,
    /// Largest payload, in bytes.
    pub max_payload_size: usize,
    /// Connections over all listeners, including those in their handshake.
    pub max_clients: usize,
    /// QoS 1 and 2 messages on their way from or to one client.
    pub max_in_flight: u16,
    /// Bytes of the messages that wait for one client.
    pub max_queue_size: usize,
    /// Bytes of messages, subscriptions and wills of all clients; large packets that are coming may take a quarter more.
    pub max_memory: usize,
    /// Bytes of all retained messages.
    pub max_retained_size: usize,
    /// Sessions that are kept besides those of `max_clients`.
    pub max_sessions: usize,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Seconds of keep-alive, at most; `None`: as the client wants it.
    pub max_keep_alive: Option<u16>,
    /// How long a session outlives its connection, at most.
    pub session_expiry: Duration,
    /// Bytes of all CONNECTs that have not come whole.
    pub max_connect_memory: usize,
    /// From the connection to its CONNECT.
    pub connect_timeout: Duration,
    /// From the beginning of a large packet to its end.
    pub packet_timeout: Duration,
    /// Connections of one peer address in a second.
    pub max_connects_per_second: u32,
    /// Whether retained messages are kept.
    pub retain: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_size: 8 << 20,
            max_payload_size: usize::MAX,
            max_clients: 2_000,
            max_in_flight: 64,
            max_queue_size: 4 << 20,
            max_memory: 64 << 20,
            max_retained_size: 64 << 20,
            max_sessions: 5_000,
            max_subscriptions: 10_000,
            max_keep_alive: None,
            session_expiry: Duration::from_hours(24 * 7),
            max_connect_memory: 4 << 20,
            connect_timeout: Duration::from_secs(10),
            packet_timeout: Duration::from_secs(30),
            max_connects_per_second: 500,
            retain: true,
        }
    }
}

impl Limits {
    pub(crate) fn engine(&self) -> broker_engine::Limits {
        broker_engine::Limits {
            packet_bytes: self.max_packet_size,
            payload_bytes: self.max_payload_size,
            in_flight: self.max_in_flight,
            queue_bytes: self.max_queue_size,
            memory_bytes: self.max_memory,
            retained_bytes: self.max_retained_size,
            sessions: self.max_sessions,
            subscriptions: self.max_subscriptions,
            session_expiry: u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX),
            keep_alive: self.max_keep_alive,
            retain: self.retain,
            ..broker_engine::Limits::default()
        }
    }
}
