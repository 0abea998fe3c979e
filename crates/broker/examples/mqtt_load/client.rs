//! A client of MQTT 3.1.1 that costs next to nothing: packets are made by hand, and many are read and written at once.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

/// Read at a time.
const ROOM: usize = 32 * 1024;
const KEEP_ALIVE: [u8; 2] = 60_u16.to_be_bytes();
const SUBSCRIPTION: u16 = u16::MAX;

#[derive(Default)]
pub(crate) struct Login<'a> {
    pub(crate) id: &'a str,
    /// Whether the session outlives the connection.
    pub(crate) keep: bool,
    pub(crate) user: Option<(&'a str, &'a str)>,
    pub(crate) source: Option<IpAddr>,
}

pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) inbox: Inbox,
    /// Packets for the next `flush`.
    pub(crate) outbox: Outbox,
    /// Whether the broker had a session of ours.
    pub(crate) resumed: bool,
}

impl Client {
    /// A refusal is an error of the kind `PermissionDenied`.
    pub(crate) async fn connect(broker: SocketAddr, login: &Login<'_>) -> io::Result<Self> {
        let socket = if broker.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = login.source {
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(broker).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, inbox: Inbox::default(), outbox: Outbox::default(), resumed: false };
        client.outbox.connect(login);
        client.flush().await?;
        let (resumed, code) = client
            .answer(|packet| match packet {
                Packet::Connack { resumed, code } => Some((*resumed, *code)),
                _ => None,
            })
            .await?;
        if code != 0 {
            client.stream.set_zero_linger()?;
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("refused with code {code}")));
        }
        client.resumed = resumed;
        Ok(client)
    }

    /// Subscribes with this QoS, and waits for the answer.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> io::Result<()> {
        self.outbox.subscribe(filter, qos);
        self.flush().await?;
        let granted =
            self.answer(|packet| if let Packet::Suback(code) = packet { Some(*code) } else { None }).await?;
        if granted == qos {
            Ok(())
        } else {
            Err(io::Error::other(format!("subscription answered with {granted}")))
        }
    }

    /// The first packet that is wanted; what comes before it stays unread only if it is not complete.
    async fn answer<T>(&mut self, wanted: impl Fn(&Packet<'_>) -> Option<T>) -> io::Result<T> {
        loop {
            while let Some(packet) = self.inbox.next()? {
                if let Some(answer) = wanted(&packet) {
                    return Ok(answer);
                }
            }
            self.receive().await?;
        }
    }

    /// Waits until more bytes are in the inbox; nothing is lost if nobody waits to the end.
    pub(crate) async fn receive(&mut self) -> io::Result<()> {
        self.inbox.make_room();
        match self.stream.read_buf(&mut self.inbox.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.outbox.0.is_empty() {
            self.stream.write_all(&self.outbox.0).await?;
            self.outbox.0.clear();
        }
        Ok(())
    }

    pub(crate) async fn disconnect(mut self) -> io::Result<()> {
        self.outbox.packet(0xe0, &[]);
        self.flush().await
    }

    pub(crate) fn into_halves(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.stream.into_split()
    }

    /// Whether the broker has neither sent anything more nor closed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

pub(crate) enum Packet<'a> {
    Connack { resumed: bool, code: u8 },
    Publish { topic: &'a [u8], id: Option<u16>, payload: &'a [u8] },
    Puback(u16),
    Suback(u8),
    Other,
}

impl<'a> Packet<'a> {
    fn decode(first: u8, body: &'a [u8]) -> Option<Self> {
        Some(match (first >> 4, body) {
            (2, [flags, code]) => Self::Connack { resumed: *flags == 1, code: *code },
            (3, _) => {
                let (length, rest) = body.split_first_chunk()?;
                let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                if first & 0b110 == 0 {
                    return Some(Self::Publish { topic, id: None, payload: rest });
                }
                let (id, payload) = rest.split_first_chunk()?;
                Self::Publish { topic, id: Some(u16::from_be_bytes(*id)), payload }
            }
            (4, [high, low]) => Self::Puback(u16::from_be_bytes([*high, *low])),
            (9, [.., code]) => Self::Suback(*code),
            _ => Self::Other,
        })
    }
}

/// Bytes that came, and how many of them were understood.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    done: usize,
}

impl Inbox {
    fn make_room(&mut self) {
        self.bytes.drain(..self.done);
        self.done = 0;
        // Ten thousand idle clients need little.
        self.bytes.reserve(if self.bytes.capacity() == 0 { 64 } else { ROOM });
    }

    /// The next packet that is complete.
    pub(crate) fn next(&mut self) -> io::Result<Option<Packet<'_>>> {
        let Some((first, body, length)) = self.bytes.get(self.done..).and_then(frame) else {
            return Ok(None);
        };
        self.done += length;
        Packet::decode(first, body).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The first byte of the first packet, what follows its length, and how long it is in all.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, rest) = bytes.split_first()?;
    let mut length = 0;
    for (index, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let body = rest.get(index + 1..index + 1 + length)?;
            return Some((*first, body, 2 + index + length));
        }
    }
    None
}

#[derive(Default)]
pub(crate) struct Outbox(Vec<u8>);

impl Outbox {
    fn connect(&mut self, login: &Login<'_>) {
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.push(if login.keep { 0 } else { 0b10 } | if login.user.is_some() { 0b1100_0000 } else { 0 });
        body.extend(KEEP_ALIVE);
        let (user, password) = login.user.unzip();
        for text in [Some(login.id), user, password].into_iter().flatten() {
            body.extend(length_of(text));
            body.extend(text.as_bytes());
        }
        self.packet(0x10, &[&body]);
    }

    /// The answer has to be awaited before the next one.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.packet(0x82, &[&SUBSCRIPTION.to_be_bytes(), &length_of(filter), filter.as_bytes(), &[qos]]);
    }

    /// With QoS 1.
    pub(crate) fn publish(&mut self, topic: &str, retain: bool, id: u16, payload: &[u8]) {
        let first = 0x32 | u8::from(retain);
        self.packet(first, &[&length_of(topic), topic.as_bytes(), &id.to_be_bytes(), payload]);
    }

    pub(crate) fn publish_at_most_once(&mut self, topic: &str, payload: &[u8]) {
        self.packet(0x30, &[&length_of(topic), topic.as_bytes(), payload]);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn puback(&mut self, id: u16) {
        self.packet(0x40, &[&id.to_be_bytes()]);
    }

    fn packet(&mut self, first: u8, parts: &[&[u8]]) {
        self.0.push(first);
        let mut length = parts.iter().map(|part| part.len()).sum::<usize>();
        loop {
            let digit = (length & 0x7f) as u8;
            length >>= 7;
            self.0.push(if length == 0 { digit } else { digit | 0x80 });
            if length == 0 {
                break;
            }
        }
        for part in parts {
            self.0.extend(*part);
        }
    }
}

/// Our texts are short.
fn length_of(text: &str) -> [u8; 2] {
    u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes()
}
