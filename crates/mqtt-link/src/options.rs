//! What a connection is made of. Nothing in here prints a secret.

use std::path::PathBuf;
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

/// How surely a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// QoS 0: lost with the connection.
    AtMostOnce,
    /// QoS 1: sent again until acknowledged.
    AtLeastOnce,
    /// QoS 2: never asked for; a broker may still hold such a subscription from an earlier owner of the client id.
    ExactlyOnce,
}

/// What the broker remembers of this client when the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Nothing.
    Clean,
    /// Its subscriptions and what was published to them; needs a client id that stays the same.
    Persistent {
        /// MQTT 5: for how long. MQTT 3.1.1 has no such word: the broker decides.
        expiry: Duration,
    },
}

/// Whom to trust and how to prove who we are, for `mqtts` and `wss`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM certificates to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Our own PEM certificate chain; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The PEM private key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// What the broker says of us when we are gone without a DISCONNECT. Sent at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// One connection's settings; [`Options::new`] gives the usual ones.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the broker is.
    pub url: BrokerUrl,
    /// Which MQTT.
    pub protocol: Protocol,
    /// Unique per broker: a second client of the same name throws out the first.
    pub client_id: String,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// Certificates.
    pub tls: Tls,
    /// How often to make sure that the broker still answers; taken as 5 s at least. A stalled broker, and a connection
    /// that is dead in either direction, is given up after one and a half of these.
    pub keep_alive: Duration,
    /// How long a connection may take to come up, DNS to CONNACK.
    pub connect_timeout: Duration,
    /// How long a broker that answers otherwise may acknowledge nothing of what it was sent, before the connection is
    /// made anew and everything sent again.
    pub ack_timeout: Duration,
    /// Said by the broker when we vanish.
    pub last_will: Option<Will>,
    /// What the broker remembers.
    pub session: Session,
    /// Largest payload taken from the broker, in bytes. With a persistent session a larger one, up to 16 MiB, is cut to
    /// this size and handed over, so that it can be counted; else it costs the connection.
    pub max_packet_size: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// After a burst of QoS 0 messages: how long to leave the socket alone, so that the next ones are read by the
    /// handful, which saves most of the work at thousands of messages a second. Zero: read each at once.
    pub linger: Duration,
}

impl Options {
    /// MQTT 5, clean session, 30 s keep-alive, 1 MiB packets, no credentials, no will.
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
            session: Session::Clean,
            max_packet_size: 1 << 20,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            linger: Duration::from_millis(5),
        }
    }

    /// What rumqttc takes without a panic (5 s at least) and the protocol can carry (16 bits of seconds).
    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive.as_secs().clamp(5, u64::from(u16::MAX)))
    }

    /// Whole seconds, one at least.
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
