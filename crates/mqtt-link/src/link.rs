//! The two MQTT versions behind one set of words: rumqttc keeps a client, an event loop and an error type for each.
//!
//! A client and its event loop serve one connection and are thrown away with it. rumqttc would reconnect by itself, but
//! forgets what is in flight when the broker has no session for us; so sending again is the business of whoever has the
//! messages on disk.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use crate::explain::NotYetValid;
use crate::{Options, Protocol, Qos, Session, v4, v5};

/// rumqttc reads up to this many packets in one go; fewer mean that the socket had no more.
pub(crate) const READ_AT_ONCE: usize = 9;

/// What came from the connection.
#[derive(Debug)]
pub(crate) enum Packet {
    /// CONNACK.
    Connected(Connected),
    /// SUBACK: per filter, in the order asked, why it was refused.
    Subscribed(Vec<Option<&'static str>>),
    /// PUBLISH from the broker.
    Message(RawMessage),
    /// The oldest publish not yet sent is on its way under this packet id.
    Sent(u16),
    /// PUBACK for ours.
    Acked { pkid: u16, refusal: Option<Refusal> },
    /// Something that says no more than that the broker is there.
    Other,
    /// What no broker may send to a client that publishes at QoS 1 only.
    Nonsense,
    /// Our DISCONNECT is out.
    Disconnected,
}

impl Packet {
    /// Whether it came from the broker.
    pub(crate) const fn is_heard(&self) -> bool {
        !matches!(self, Self::Sent(_) | Self::Disconnected)
    }
}

/// What the broker said when it let us in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) session_present: bool,
    /// How many publishes it takes before it has acknowledged the first.
    pub(crate) receive_maximum: u16,
    /// Largest packet it takes, in bytes.
    pub(crate) max_packet_size: u32,
}

/// A PUBLISH as it came.
#[derive(Debug)]
pub(crate) struct RawMessage {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) pkid: u16,
}

impl RawMessage {
    /// With so much of the payload at most, in a buffer of its own: a giant is to be counted, not kept.
    pub(crate) fn cut_to(mut self, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(beginning) = self.payload.get(..limit).filter(|_| self.payload.len() > limit) {
            self.payload = Bytes::copy_from_slice(beginning);
        }
        self
    }
}

/// A PUBACK that says no (MQTT 5 only; a 3.1.1 broker has no words for it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for people.
    pub reason: &'static str,
    /// Whether the same message will always be refused. If not, try again later: somebody may change the broker's
    /// permissions or quota.
    pub permanent: bool,
}

/// Why a connection ended, or never came up.
#[derive(Debug)]
pub(crate) struct LinkError {
    /// For people: what, and what to do.
    pub(crate) reason: String,
    /// The broker sent a packet larger than we take. It would send it again at every connection.
    pub(crate) oversized: bool,
    /// The broker's certificate, not the broker, is why.
    pub(crate) not_yet_valid: Option<NotYetValid>,
    /// The broker had let us in before.
    pub(crate) was_connected: bool,
}

impl LinkError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), oversized: false, not_yet_valid: None, was_connected: false }
    }
}

/// Speaks to one connection. Usable from any thread; does nothing once the connection is gone.
#[derive(Debug)]
pub(crate) enum Client {
    V4(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// The connection has gone, or takes no more requests.
#[derive(Debug)]
pub(crate) struct Gone;

impl Client {
    pub(crate) fn subscribe(&self, filters: &[(String, Qos)]) -> Result<(), Gone> {
        match self {
            Self::V4(client) => v4::subscribe(client, filters),
            Self::V5(client) => v5::subscribe(client, filters),
        }
    }

    /// At QoS 1.
    pub(crate) fn publish(&self, topic: &str, payload: Bytes, retain: bool) -> Result<(), Gone> {
        match self {
            Self::V4(client) => v4::publish(client, topic, payload, retain),
            Self::V5(client) => v5::publish(client, topic, payload, retain),
        }
    }

    /// PUBACK, or PUBREC for QoS 2.
    pub(crate) fn ack(&self, pkid: u16, qos: Qos) {
        // A connection that is gone needs no acknowledgement: the broker sends the message again.
        let _ = match self {
            Self::V4(client) => v4::ack(client, pkid, qos),
            Self::V5(client) => v5::ack(client, pkid, qos),
        };
    }

    /// DISCONNECT, after all requests made before.
    pub(crate) fn disconnect(&self) {
        // A connection that is gone is disconnected.
        match self {
            Self::V4(client) => drop(client.try_disconnect()),
            Self::V5(client) => drop(client.try_disconnect()),
        }
    }
}

/// Drives one connection.
pub(crate) enum EventLoop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

impl EventLoop {
    /// Waits for what comes next and takes everything that came with it. A call that is dropped before it is done may
    /// lose an acknowledgement: drop the whole connection then.
    pub(crate) async fn poll(&mut self, packets: &mut Vec<Packet>) -> Result<(), LinkError> {
        match self {
            Self::V4(events) => v4::poll(events, packets).await,
            Self::V5(events) => v5::poll(events, packets).await,
        }
    }
}

/// A connection to be made: nothing happens until the event loop is polled. `clean` overrides the options' session.
pub(crate) fn open(options: &Options, tls: Option<Arc<ClientConfig>>, clean: bool) -> (Client, EventLoop) {
    match options.protocol {
        Protocol::V311 => {
            let (client, events) = v4::open(options, tls, clean);
            (Client::V4(client), EventLoop::V4(Box::new(events)))
        }
        Protocol::V5 => {
            let (client, events) = v5::open(options, tls, clean);
            (Client::V5(client), EventLoop::V5(Box::new(events)))
        }
    }
}

/// Requests that may wait in a client: as many as there are packet ids, so that no acknowledgement finds it full.
pub(crate) const REQUESTS: usize = 65_536;
/// Largest packet that a subscriber lets rumqttc read. One that is larger than the options allow is cut and handed over
/// all the same: the broker would drop it unseen (MQTT 5), or send it again and again (3.1.1).
const GIANT: u32 = 16 << 20;

/// Largest packet that may come.
pub(crate) const fn incoming_limit(options: &Options) -> u32 {
    match options.session {
        Session::Persistent { .. } if options.max_packet_size < GIANT => GIANT,
        _ => options.max_packet_size,
    }
}

/// Publishes that rumqttc numbers before it starts again at 1; twice [`crate::Publisher::WINDOW`].
pub(crate) const PACKET_IDS: u16 = 128;

/// `Transport` for the options' URL; TLS where `tls` is given.
pub(crate) fn transport(options: &Options, tls: Option<Arc<ClientConfig>>) -> rumqttc::Transport {
    use rumqttc::{TlsConfiguration, Transport};
    match (tls, options.url.is_websocket()) {
        (None, false) => Transport::Tcp,
        (None, true) => Transport::Ws,
        (Some(tls), false) => Transport::Tls(TlsConfiguration::Rustls(tls)),
        (Some(tls), true) => Transport::Wss(TlsConfiguration::Rustls(tls)),
    }
}

/// rumqttc takes a host, or for WebSockets the whole URL, in the same place.
pub(crate) fn address(options: &Options) -> String {
    if options.url.is_websocket() { options.url.to_string() } else { options.url.host().to_owned() }
}
