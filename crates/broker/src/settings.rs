//! The settings of a broker: plain values whose form is already checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::PasswordSource;

/// Listeners, users, storage and limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Plain MQTT; with port 0 the system chooses a free port.
    pub listen: Option<SocketAddr>,
    /// MQTT over WebSocket, path `/mqtt`.
    pub websocket: Option<SocketAddr>,
    /// The encrypted listeners.
    pub tls: Option<Tls>,
    /// Whether clients without a user name may connect and do everything.
    pub anonymous: bool,
    /// The clients with a user name.
    pub users: Vec<User>,
    /// Where sessions, queued and retained messages are kept; created where missing, used by one process at a time.
    pub data_dir: PathBuf,
    /// The bounds.
    pub limits: Limits,
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
    /// Largest MQTT packet, in bytes, either way. Announced to v5 clients; others are cut off at the first larger one.
    pub max_packet_size: u32,
    /// Connections over all listeners, including those in their handshake.
    pub max_clients: usize,
    /// Messages queued for one client, connected or not. Beyond that, QoS 0 messages and the oldest of QoS 1 and 2 are dropped.
    pub max_queued_messages: usize,
    /// Bytes of QoS 1 and 2 messages queued for one disconnected client.
    pub max_queued_bytes: usize,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Retained messages over all topics.
    pub max_retained: usize,
    /// How long a session outlives its connection, at most.
    pub session_expiry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_size: 262_144,
            max_clients: 1_000,
            max_queued_messages: 4_096,
            max_queued_bytes: 16 << 20,
            max_subscriptions: 256,
            max_retained: 4_096,
            session_expiry: Duration::from_hours(24 * 7),
        }
    }
}
