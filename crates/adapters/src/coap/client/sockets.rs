//! The sockets of the client: one for IPv4, one for IPv6, each on a port that the system chooses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use coap_link::Udp;

/// The sender and the bytes.
pub(super) type Datagram = (SocketAddr, Bytes);

#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<Udp>,
    v6: Option<Udp>,
}

impl Sockets {
    /// Opens both, or one if the machine lacks the other protocol.
    ///
    /// # Errors
    /// Neither can be opened.
    pub(super) async fn open() -> io::Result<Self> {
        match (bind(Ipv4Addr::UNSPECIFIED.into()).await, bind(Ipv6Addr::UNSPECIFIED.into()).await) {
            (Err(error), Err(_)) => Err(error),
            (v4, v6) => Ok(Self { v4: v4.ok(), v6: v6.ok() }),
        }
    }

    /// Whether there is a socket for such an address.
    pub(super) const fn reaches(&self, address: SocketAddr) -> bool {
        match address {
            SocketAddr::V4(_) => self.v4.is_some(),
            SocketAddr::V6(_) => self.v6.is_some(),
        }
    }

    /// Sends if the socket's buffer has space; otherwise the datagram is lost, and CoAP or DTLS repeats it.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        if let Some(Err(error)) = socket.as_ref().map(|socket| socket.try_send(to, datagram)) {
            tracing::debug!("coap: a datagram to {to} was not sent: {error}");
        }
    }

    /// Waits for datagrams. Safe to cancel.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<Datagram>> {
        let Self { v4, v6 } = self;
        tokio::select! {
            received = receive(v4.as_mut()) => received,
            received = receive(v6.as_mut()) => received,
        }
    }
}

async fn bind(ip: IpAddr) -> io::Result<Udp> {
    let socket = Udp::bind(SocketAddr::new(ip, 0))?;
    // Until its first poll the runtime considers a socket not writable.
    socket.writable().await?;
    Ok(socket)
}

async fn receive(socket: Option<&mut Udp>) -> io::Result<Vec<Datagram>> {
    let Some(socket) = socket else { return std::future::pending().await };
    let mut datagrams = Vec::new();
    socket.receive(|from, bytes, _| datagrams.push((from, Bytes::copy_from_slice(bytes)))).await?;
    Ok(datagrams)
}
