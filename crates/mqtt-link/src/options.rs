//! Options of a connection. Their debug output contains no secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::Backoff;
use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BrokerUrl;

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// MQTT 5.
    #[default]
    #[serde(rename = "5")]
    V5,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
}

/// Quality of service (section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// QoS 0: lost if the connection is lost.
    AtMostOnce,
    /// QoS 1: sent again until acknowledged.
    AtLeastOnce,
    /// QoS 2: never requested, but a broker may hold such a subscription from an earlier user of the client id.
    ExactlyOnce,
}

/// What the broker keeps for this client while it is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    Clean,
    /// Its subscriptions and the messages published to them; needs a constant client id.
    Persistent {
        /// For MQTT 5. In MQTT 3.1.1 the broker decides.
        expiry: Duration,
    },
}

/// Certificates for `mqtts` and `wss`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Trusted PEM certificates, instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The client's PEM certificate chain; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The PEM private key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// The last will, which the broker publishes at QoS 1 when the connection ends without a DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
}

/// Makes a last will for each attempt to connect, from the number of the attempt: 0, 1, and so on.
#[derive(Clone)]
pub struct WillSource(Arc<dyn Fn(u64) -> Will + Send + Sync>);

impl WillSource {
    pub fn new(make: impl Fn(u64) -> Will + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    #[must_use]
    pub fn will(&self, attempt: u64) -> Will {
        (self.0)(attempt)
    }
}

impl fmt::Debug for WillSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WillSource")
    }
}

/// Options of one connection; [`Options::new`] sets the usual values.
#[derive(Debug, Clone)]
pub struct Options {
    pub url: BrokerUrl,
    pub protocol: Protocol,
    /// Unique per broker: a second client with the same id takes over the session.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<(String, Secret)>,
    pub tls: Tls,
    /// The interval of pings; at least 5 s is used. A connection counts as dead after one and a half intervals without a
    /// packet.
    pub keep_alive: Duration,
    /// The time limit from DNS lookup to CONNACK.
    pub connect_timeout: Duration,
    /// How long a broker may leave all publishes unacknowledged although it answers. Then the connection is renewed and
    /// everything is sent again.
    pub ack_timeout: Duration,
    pub last_will: Option<Will>,
    /// Replaces `last_will` with another one for each attempt to connect.
    pub will_source: Option<WillSource>,
    pub session: Session,
    /// The largest accepted payload in bytes. With a persistent session a larger one, up to 16 MiB, is truncated to this
    /// size and delivered, so that it can be counted. Otherwise it ends the connection.
    pub max_packet_size: u32,
    /// Pauses between connection attempts.
    pub backoff: Backoff,
    /// How long not to read after a burst of QoS 0 messages, so that the next ones are read together. That saves most of
    /// the work at thousands of messages a second. Zero reads each message at once.
    pub linger: Duration,
    /// Subscribe as a bridge between brokers does, which MQTT 3.1.1 cannot: what this connection publishes does not come back
    /// to it, messages keep the retain flag that they were published with, and retained messages come with a new
    /// subscription only.
    pub is_bridge: bool,
}

impl Options {
    /// MQTT 5, clean session, keep-alive of 30 s, packets up to 1 MiB, no credentials, no will.
    #[must_use]
    pub fn new(url: BrokerUrl, client_id: impl Into<String>) -> Self {
        Self {
            url,
            protocol: Protocol::V5,
            client_id: client_id.into(),
            credentials: None,
            tls: Tls::default(),
            keep_alive: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(300),
            last_will: None,
            will_source: None,
            session: Session::Clean,
            max_packet_size: 1 << 20,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            linger: Duration::from_millis(5),
            is_bridge: false,
        }
    }

    /// Within what rumqttc accepts (at least 5 s) and the protocol can encode (16 bits of seconds).
    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive.as_secs().clamp(5, u64::from(u16::MAX)))
    }

    /// In whole seconds, at least one.
    pub(crate) fn connect_timeout_secs(&self) -> u64 {
        self.connect_timeout.as_secs().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_print_without_their_password() {
        let mut options = Options::new("mqtt://cloud".parse().unwrap(), "c");
        options.credentials = Some(("joe".to_owned(), Secret::new("hunter2".to_owned())));
        let printed = format!("{options:?}");
        assert!(printed.contains("joe") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn a_keep_alive_stays_within_what_can_be_said() {
        let mut options = Options::new("mqtt://cloud".parse().unwrap(), "c");
        for (given, taken) in [(0, 5), (30, 30), (100_000, 65_535)] {
            options.keep_alive = Duration::from_secs(given);
            assert_eq!(options.keep_alive().as_secs(), taken);
        }
    }
}
