//! What the broker is told at its start: plain values, already checked for form.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::PasswordSource;

/// Where to listen, whom to let in, and how much of everything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Plain MQTT; port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// MQTT over WebSocket, path `/mqtt`.
    pub websocket: Option<SocketAddr>,
    /// The encrypted listeners.
    pub tls: Option<Tls>,
    /// Whether clients without a user name may connect and do everything.
    pub anonymous: bool,
    /// Who else may connect.
    pub users: Vec<User>,
    /// Where sessions, queued and retained messages are kept; created where missing, used by one process at a time.
    pub data_dir: PathBuf,
    /// How much of everything.
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
    /// Where set, a client must show a certificate that one of these has signed; its password is asked for all the same.
    pub client_ca_file: Option<PathBuf>,
}

/// A client's name, password and permissions. Permissions are MQTT topic filters; an empty list permits nothing.
#[derive(Debug, Clone)]
pub struct User {
    /// The MQTT user name.
    pub name: String,
    /// How to recognise it.
    pub password: PasswordSource,
    /// Topics it may publish to, last will included. `$SYS/…` is nobody's.
    pub publish: Vec<String>,
    /// What it may subscribe to: a subscription is accepted where one of these covers it entirely.
    pub subscribe: Vec<String>,
}

/// Bounds on what clients can make the broker hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest MQTT packet, in bytes, either way. Announced to v5 clients; others are cut off at the first larger one.
    pub max_packet_size: u32,
    /// Connections at once, over all listeners, those still in their handshake included.
    pub max_clients: usize,
    /// Messages waiting for one client, connected or away. Beyond, QoS 0 is dropped and the oldest QoS 1 and 2.
    pub max_queued_messages: usize,
    /// Bytes of QoS 1 and 2 messages waiting for one client that is away.
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
