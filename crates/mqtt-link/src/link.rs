//! One interface to both MQTT versions: rumqttc has a separate client, event loop and error type for each.
//!
//! A client and its event loop serve one connection and are dropped with it. rumqttc could reconnect by itself, but forgets
//! messages in flight when the broker has no session. So the owner of the messages sends them again.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use crate::explain::NotYetValid;
use crate::{Options, Protocol, Qos, Session, v4, v5};

/// rumqttc reads up to this many packets at once; fewer mean that the socket had no more.
pub(crate) const READ_AT_ONCE: usize = 9;

/// A packet or an event of the connection.
#[derive(Debug)]
pub(crate) enum Packet {
    /// CONNACK.
    Connected(Connected),
    /// SUBACK: for each requested filter, in order, the reason if it was rejected.
    Subscribed(Vec<Option<&'static str>>),
    Message(RawMessage),
    /// The oldest unsent PUBLISH was sent with this packet id.
    Sent(u16),
    /// PUBACK for one of our messages.
    Acked {
        pkid: u16,
        refusal: Option<Refusal>,
    },
    /// Any other packet of the broker.
    Other,
    /// A packet that a broker must not send to a client that publishes at QoS 1 only.
    ProtocolViolation,
    /// Our DISCONNECT was sent.
    Disconnected,
}

impl Packet {
    /// Whether the broker sent it.
    pub(crate) const fn is_from_broker(&self) -> bool {
        !matches!(self, Self::Sent(_) | Self::Disconnected)
    }
}

/// What the CONNACK says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) session_present: bool,
    /// The most publishes that may be in flight.
    pub(crate) receive_maximum: u16,
    /// The largest packet that the broker accepts, in bytes.
    pub(crate) max_packet_size: u32,
}

/// A PUBLISH as received.
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
    /// Truncates the payload, into a new buffer: an oversized message is counted, not kept.
    pub(crate) fn truncated(mut self, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(beginning) = self.payload.get(..limit).filter(|_| self.payload.len() > limit) {
            self.payload = Bytes::copy_from_slice(beginning);
        }
        self
    }
}

/// A PUBACK with an error code (MQTT 5 only).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    /// Whether the same message would always be rejected. Otherwise a later attempt may succeed, because the broker's
    /// permissions or quota may change.
    pub permanent: bool,
    /// Whether it is for want of a permission.
    pub not_permitted: bool,
}

/// Why a connection ended or could not be established.
#[derive(Debug)]
pub(crate) struct LinkError {
    /// What happened and what to do.
    pub(crate) reason: String,
    /// The broker sent a packet above our limit. It would send it again on every connection.
    pub(crate) oversized: bool,
    /// Set if the broker's certificate is not valid yet.
    pub(crate) not_yet_valid: Option<NotYetValid>,
    /// The connection had been established before.
    pub(crate) was_connected: bool,
}

impl LinkError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), oversized: false, not_yet_valid: None, was_connected: false }
    }
}

/// Sends requests on one connection, from any thread. Does nothing after the connection has ended.
#[derive(Debug)]
pub(crate) enum Client {
    V4(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// The connection has ended, or its request queue is full.
#[derive(Debug)]
pub(crate) struct ConnectionClosed;

impl Client {
    /// `is_bridge`: see [`Options::is_bridge`].
    pub(crate) fn subscribe(
        &self,
        filters: &[(String, Qos)],
        is_bridge: bool,
    ) -> Result<(), ConnectionClosed> {
        match self {
            Self::V4(client) => v4::subscribe(client, filters),
            Self::V5(client) => v5::subscribe(client, filters, is_bridge),
        }
    }

    pub(crate) fn publish(&self, topic: &str, payload: Bytes, retain: bool) -> Result<(), ConnectionClosed> {
        match self {
            Self::V4(client) => v4::publish(client, topic, payload, retain),
            Self::V5(client) => v5::publish(client, topic, payload, retain),
        }
    }

    /// Sends PUBACK, or PUBREC for QoS 2.
    pub(crate) fn ack(&self, pkid: u16, qos: Qos) {
        // If the connection has ended, the broker sends the message again.
        let _ = match self {
            Self::V4(client) => v4::ack(client, pkid, qos),
            Self::V5(client) => v5::ack(client, pkid, qos),
        };
    }

    /// Sends DISCONNECT after all earlier requests.
    pub(crate) fn disconnect(&self) {
        // If the connection has ended, it is disconnected already.
        match self {
            Self::V4(client) => drop(client.try_disconnect()),
            Self::V5(client) => drop(client.try_disconnect()),
        }
    }
}

pub(crate) enum EventLoop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

impl EventLoop {
    /// Waits for the next packets and takes all that have arrived. Cancelling it may lose an acknowledgement: drop the
    /// connection then.
    pub(crate) async fn poll(&mut self, packets: &mut Vec<Packet>) -> Result<(), LinkError> {
        match self {
            Self::V4(events) => v4::poll(events, packets).await,
            Self::V5(events) => v5::poll(events, packets).await,
        }
    }
}

/// Prepares a connection; nothing happens until the event loop is polled. `clean` overrides the session option.
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

/// Requests queued in a client: as many as there are packet ids, so that an acknowledgement always fits.
pub(crate) const REQUEST_QUEUE: usize = 65_536;
/// The largest packet that a subscriber lets rumqttc read. A packet above the configured limit is truncated and delivered:
/// otherwise the broker would drop it unnoticed (MQTT 5) or send it again and again (3.1.1).
const MAX_READ_PACKET: u32 = 16 << 20;

/// The largest packet that rumqttc accepts for these options.
pub(crate) const fn incoming_limit(options: &Options) -> u32 {
    match options.session {
        Session::Persistent { .. } if options.max_packet_size < MAX_READ_PACKET => MAX_READ_PACKET,
        _ => options.max_packet_size,
    }
}

/// The number of packet ids that rumqttc uses before it starts again at 1; twice [`crate::Publisher::WINDOW`].
pub(crate) const PACKET_IDS: u16 = 128;

pub(crate) fn transport(options: &Options, tls: Option<Arc<ClientConfig>>) -> rumqttc::Transport {
    use rumqttc::{TlsConfiguration, Transport};
    match (tls, options.url.is_websocket()) {
        (None, false) => Transport::Tcp,
        (None, true) => Transport::Ws,
        (Some(tls), false) => Transport::Tls(TlsConfiguration::Rustls(tls)),
        (Some(tls), true) => Transport::Wss(TlsConfiguration::Rustls(tls)),
    }
}

/// rumqttc takes the host in this place, but for WebSocket the whole URL.
pub(crate) fn address(options: &Options) -> String {
    if options.url.is_websocket() { options.url.to_string() } else { options.url.host().to_owned() }
}
