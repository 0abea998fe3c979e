//! Which messages a client says it sent before (DUP; MQTT 5 and 3.1.1, section 3.3.1.1): mqtt5 reads the flag and tells
//! nobody, so it is read here, from the bytes on their way to mqtt5.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use mqtt5::MqttError;
use mqtt5::broker::transport::{BrokerTransport, WebSocketTransport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The packet ids under which one connection's client sent something with DUP last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resent(Arc<Mutex<HashSet<u16>>>);

impl Resent {
    /// Whether the newest message under this packet id said so. A client uses an id again only when the message before
    /// is acknowledged, so the newest one is the one that is asked about.
    pub(crate) fn says(&self, packet_id: u16) -> bool {
        self.ids().contains(&packet_id)
    }

    fn note(&self, packet_id: u16, dup: bool) {
        if dup {
            self.ids().insert(packet_id);
        } else {
            self.ids().remove(&packet_id);
        }
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashSet<u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `transport`, listened in on. mqtt5 takes a transport of somebody else's as a WebSocket only, which changes nothing
/// but what it calls it, and that it knows no client certificate by it; that was checked in the handshake.
pub(crate) fn listened_in(transport: BrokerTransport) -> (BrokerTransport, Resent) {
    let resent = Resent::default();
    let listening = Listening { inner: transport, scanner: Scanner::Header, resent: resent.clone() };
    (BrokerTransport::WebSocket(Box::new(listening)), resent)
}

struct Listening {
    inner: BrokerTransport,
    scanner: Scanner,
    resent: Resent,
}

impl AsyncRead for Listening {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        this.scanner.scan(read, &this.resent);
        polled
    }
}

impl AsyncWrite for Listening {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

impl WebSocketTransport for Listening {
    fn peer_addr(&self) -> Result<SocketAddr, MqttError> {
        self.inner.peer_addr()
    }
}

/// Where in the stream of packets the next byte stands (MQTT 5, sections 2.1 and 3.3; 3.1.1 is the same so far).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scanner {
    /// A packet's first byte.
    Header,
    /// The length of what follows, 7 bits a byte.
    Length { first: u8, so_far: u32, shift: u32 },
    /// The two bytes of a PUBLISH's topic's length; `left` counts what remains of the packet.
    Topic { dup: bool, left: u32, high: Option<u8> },
    /// So much of a topic, then its packet id.
    Id { dup: bool, left: u32, skip: u32, high: Option<u8> },
    /// So much that does not matter.
    Skip { left: u32 },
    /// No MQTT: mqtt5 will end the connection.
    Lost,
}

const PUBLISH: u8 = 3;

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8], resent: &Resent) {
        while let Some((&byte, rest)) = bytes.split_first() {
            // What does not matter is passed over in one go.
            let (Self::Skip { left: over } | Self::Id { skip: over, .. }) = self else {
                *self = self.next(byte, resent);
                bytes = rest;
                continue;
            };
            if *over == 0 {
                *self = self.next(byte, resent);
                bytes = rest;
                continue;
            }
            let step = usize::try_from(*over).unwrap_or(usize::MAX).min(bytes.len());
            *over = over.saturating_sub(u32::try_from(step).unwrap_or(u32::MAX));
            bytes = bytes.get(step..).unwrap_or_default();
            if matches!(self, Self::Skip { left: 0 }) {
                *self = Self::Header;
            }
        }
    }

    fn next(self, byte: u8, resent: &Resent) -> Self {
        match self {
            Self::Header | Self::Skip { .. } => Self::Length { first: byte, so_far: 0, shift: 0 },
            Self::Length { first, so_far, shift } => {
                let length = so_far | (u32::from(byte & 0x7f) << shift);
                match (byte & 0x80 != 0, shift) {
                    (true, 21) => Self::Lost,
                    (true, _) => Self::Length { first, so_far: length, shift: shift + 7 },
                    (false, _) => Self::body(first, length),
                }
            }
            Self::Topic { dup, left, high: None } => {
                Self::Topic { dup, left: left.saturating_sub(1), high: Some(byte) }
            }
            Self::Topic { dup, left, high: Some(high) } => {
                let skip = u32::from(u16::from_be_bytes([high, byte]));
                // The topic and the packet id must fit.
                match left.checked_sub(1 + skip).filter(|left| *left >= 2) {
                    Some(left) => Self::Id { dup, left, skip, high: None },
                    None => Self::Lost,
                }
            }
            Self::Id { dup, left, high: None, .. } => {
                Self::Id { dup, left: left.saturating_sub(1), skip: 0, high: Some(byte) }
            }
            Self::Id { dup, left, high: Some(high), .. } => {
                resent.note(u16::from_be_bytes([high, byte]), dup);
                Self::skip(left.saturating_sub(1))
            }
            Self::Lost => Self::Lost,
        }
    }

    fn body(first: u8, length: u32) -> Self {
        let qos = (first >> 1) & 3;
        if first >> 4 != PUBLISH || qos == 0 {
            return Self::skip(length);
        }
        if length < 2 { Self::Lost } else { Self::Topic { dup: first & 8 != 0, left: length, high: None } }
    }

    fn skip(left: u32) -> Self {
        if left == 0 { Self::Header } else { Self::Skip { left } }
    }
}

#[cfg(test)]
mod tests;
