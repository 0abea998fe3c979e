//! Reads the DUP flags of a client's messages (MQTT 5 and 3.1.1, section 3.3.1.1). mqtt5 does not report the flag, so
//! this module reads it from the bytes on their way to mqtt5.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use mqtt5::MqttError;
use mqtt5::broker::transport::{BrokerTransport, WebSocketTransport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The packet ids whose last message on one connection had the DUP flag. Clones share the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct DupFlags(Arc<Mutex<HashSet<u16>>>);

impl DupFlags {
    /// Whether the last message with this packet id had DUP. A client reuses an id only after the earlier message is
    /// acknowledged, so the last message is the one in question.
    pub(crate) fn is_set(&self, packet_id: u16) -> bool {
        self.ids().contains(&packet_id)
    }

    fn record(&self, packet_id: u16, dup: bool) {
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

/// Wraps `transport` so that its DUP flags are recorded. mqtt5 accepts a foreign transport only as a WebSocket. That
/// changes only its name, and that mqtt5 does not see the client certificate, which the handshake has checked.
pub(crate) fn observe_dup_flags(transport: BrokerTransport) -> (BrokerTransport, DupFlags) {
    let dup_flags = DupFlags::default();
    let observed =
        ObservedTransport { inner: transport, scanner: Scanner::Header, dup_flags: dup_flags.clone() };
    (BrokerTransport::WebSocket(Box::new(observed)), dup_flags)
}

struct ObservedTransport {
    inner: BrokerTransport,
    scanner: Scanner,
    dup_flags: DupFlags,
}

impl AsyncRead for ObservedTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        this.scanner.scan(read, &this.dup_flags);
        polled
    }
}

impl AsyncWrite for ObservedTransport {
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

impl WebSocketTransport for ObservedTransport {
    fn peer_addr(&self) -> Result<SocketAddr, MqttError> {
        self.inner.peer_addr()
    }
}

/// What the next byte of the stream belongs to (MQTT 5, sections 2.1 and 3.3; in 3.1.1 this part is the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scanner {
    /// A packet's first byte.
    Header,
    /// The length of what follows, 7 bits a byte.
    Length { first: u8, so_far: u32, shift: u32 },
    /// The two bytes of the topic length of a PUBLISH; `left` counts the remaining bytes of the packet.
    Topic { dup: bool, left: u32, high: Option<u8> },
    /// `skip` more bytes of the topic, then the packet id.
    Id { dup: bool, left: u32, skip: u32, high: Option<u8> },
    /// `left` more bytes of the packet, which do not matter.
    Skip { left: u32 },
    /// The bytes are not MQTT: mqtt5 will end the connection.
    Invalid,
}

const PUBLISH: u8 = 3;

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8], dup_flags: &DupFlags) {
        while let Some((&byte, rest)) = bytes.split_first() {
            // Skips many bytes at once.
            let (Self::Skip { left: over } | Self::Id { skip: over, .. }) = self else {
                *self = self.next(byte, dup_flags);
                bytes = rest;
                continue;
            };
            if *over == 0 {
                *self = self.next(byte, dup_flags);
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

    fn next(self, byte: u8, dup_flags: &DupFlags) -> Self {
        match self {
            Self::Header | Self::Skip { .. } => Self::Length { first: byte, so_far: 0, shift: 0 },
            Self::Length { first, so_far, shift } => {
                let length = so_far | (u32::from(byte & 0x7f) << shift);
                match (byte & 0x80 != 0, shift) {
                    (true, 21) => Self::Invalid,
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
                    None => Self::Invalid,
                }
            }
            Self::Id { dup, left, high: None, .. } => {
                Self::Id { dup, left: left.saturating_sub(1), skip: 0, high: Some(byte) }
            }
            Self::Id { dup, left, high: Some(high), .. } => {
                dup_flags.record(u16::from_be_bytes([high, byte]), dup);
                Self::skip(left.saturating_sub(1))
            }
            Self::Invalid => Self::Invalid,
        }
    }

    fn body(first: u8, length: u32) -> Self {
        let qos = (first >> 1) & 3;
        if first >> 4 != PUBLISH || qos == 0 {
            return Self::skip(length);
        }
        if length < 2 { Self::Invalid } else { Self::Topic { dup: first & 8 != 0, left: length, high: None } }
    }

    fn skip(left: u32) -> Self {
        if left == 0 { Self::Header } else { Self::Skip { left } }
    }
}

#[cfg(test)]
mod tests;
