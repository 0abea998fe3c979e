//! The UDP sockets: one for sending and for unicast, others for the multicast groups, so that requests to a group can be
//! distinguished (RFC 7252, 8).

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::interfaces::Interface;

/// "All CoAP Nodes": IPv4, IPv6 link-local and IPv6 site-local (RFC 7252, 12.8).
const ALL_NODES_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 187);
const ALL_NODES_LINK: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfd);
const ALL_NODES_SITE: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0xfd);

/// The most datagrams read from one socket before the next socket is read.
const BATCH: usize = 64;
const MAX_DATAGRAM: usize = 65_535;
/// The receive buffer in bytes: as much as Linux permits without privileges.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A UDP socket with the sockets of its multicast groups.
#[derive(Debug)]
pub struct Udp {
    unicast: UdpSocket,
    groups: Vec<UdpSocket>,
    buffer: Box<[u8]>,
}

/// A multicast group that could not be joined on an interface.
#[derive(Debug, thiserror::Error)]
#[error("cannot join the CoAP group {group} on {interface}: discovery by multicast does not work there")]
pub struct JoinError {
    pub group: IpAddr,
    pub interface: String,
    #[source]
    pub source: io::Error,
}

impl Udp {
    /// Binds to `address`; port 0 takes any free port. `[::]` includes IPv4 if that is the system's default.
    ///
    /// # Errors
    /// The system's error, usually that the port is in use.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        disable_multicast_all(&socket, address);
        // Best effort: with a small buffer a burst loses datagrams, which CoAP retransmits.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
        let unicast = UdpSocket::from_std(socket.into())?;
        Ok(Self { unicast, groups: Vec::new(), buffer: vec![0; MAX_DATAGRAM].into_boxed_slice() })
    }

    ///
    /// # Errors
    /// The system's error.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.unicast.local_addr()
    }

    /// Joins "All CoAP Nodes" on every interface that supports multicast; returns the failures.
    ///
    /// # Errors
    /// The system's error for our own socket.
    pub fn join_all_coap_nodes(&mut self) -> io::Result<Vec<JoinError>> {
        let address = self.local_address()?;
        let unicast = SockRef::from(&self.unicast);
        // Shared only while the group sockets are bound, so that a second endpoint on this port still fails.
        unicast.set_reuse_address(true)?;
        let mut failed = Vec::new();
        let mut groups = Vec::new();
        let interfaces = Interface::all();
        let takes_v4 =
            address.is_ipv4() || (address.ip().is_unspecified() && !unicast.only_v6().unwrap_or(true));
        if takes_v4 {
            join_v4(address.port(), &interfaces, &mut groups, &mut failed);
        }
        if address.is_ipv6() {
            for interface in &interfaces {
                join_link(address.port(), interface, &mut groups, &mut failed);
            }
            join_site(address.port(), &interfaces, &mut groups, &mut failed);
        }
        unicast.set_reuse_address(false)?;
        self.groups = groups;
        Ok(failed)
    }

    /// Waits for datagrams and passes some to `take`: the sender, the bytes, and whether they were sent to a group.
    ///
    /// Cancel safe: what was not passed on stays in the socket.
    ///
    /// # Errors
    /// The system's error; the next call may succeed.
    pub async fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8], bool)) -> io::Result<()> {
        poll_fn(|context| self.poll_readable(context)).await?;
        let all =
            std::iter::once((&self.unicast, false)).chain(self.groups.iter().map(|group| (group, true)));
        for (socket, multicast) in all {
            for _ in 0..BATCH {
                match socket.try_recv_from(&mut self.buffer) {
                    Ok((length, from)) => {
                        take(from, self.buffer.get(..length).unwrap_or_default(), multicast);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for socket in std::iter::once(&self.unicast).chain(&self.groups) {
            if let Poll::Ready(ready) = socket.poll_recv_ready(context) {
                return Poll::Ready(ready);
            }
        }
        Poll::Pending
    }

    /// Sends a datagram if the socket has space.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] without space, see [`writable`](Self::writable); otherwise the system's error for this
    /// address.
    pub fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.unicast.try_send_to(datagram, to).map(|_| ())
    }

    /// Waits until the socket has space.
    ///
    /// # Errors
    /// The system's error.
    pub async fn writable(&self) -> io::Result<()> {
        self.unicast.writable().await
    }
}

/// Otherwise Linux also delivers datagrams of groups that other programs on this machine have joined.
#[cfg(target_os = "linux")]
fn disable_multicast_all(socket: &Socket, address: SocketAddr) {
    // A kernel before 4.20 lacks it for IPv6: requests to a group are then answered without leisure.
    let _ = socket.set_multicast_all_v4(false);
    if address.is_ipv6() {
        let _ = socket.set_multicast_all_v6(false);
    }
}

#[cfg(not(target_os = "linux"))]
fn disable_multicast_all(_socket: &Socket, _address: SocketAddr) {}

fn join_v4(port: u16, interfaces: &[Interface], groups: &mut Vec<UdpSocket>, failed: &mut Vec<JoinError>) {
    let fail = |interface: &str, source| JoinError {
        group: ALL_NODES_V4.into(),
        interface: interface.into(),
        source,
    };
    let socket = match group_socket(SocketAddr::from((ALL_NODES_V4, port))) {
        Ok(socket) => socket,
        Err(source) => return failed.push(fail("every interface", source)),
    };
    for interface in interfaces {
        let index = InterfaceIndexOrAddress::Index(interface.index);
        if let Err(source) = SockRef::from(&socket).join_multicast_v4_n(&ALL_NODES_V4, &index) {
            failed.push(fail(&interface.name, source));
        }
    }
    groups.push(socket);
}

/// A link-local group needs a socket for each interface, because its address is valid only together with one.
fn join_link(port: u16, interface: &Interface, groups: &mut Vec<UdpSocket>, failed: &mut Vec<JoinError>) {
    let address = SocketAddrV6::new(ALL_NODES_LINK, port, 0, interface.index);
    let joined = group_socket(address.into()).and_then(|socket| {
        socket.join_multicast_v6(&ALL_NODES_LINK, interface.index)?;
        Ok(socket)
    });
    match joined {
        Ok(socket) => groups.push(socket),
        Err(source) => {
            failed.push(JoinError {
                group: ALL_NODES_LINK.into(),
                interface: interface.name.clone(),
                source,
            });
        }
    }
}

fn join_site(port: u16, interfaces: &[Interface], groups: &mut Vec<UdpSocket>, failed: &mut Vec<JoinError>) {
    let fail = |interface: &str, source| JoinError {
        group: ALL_NODES_SITE.into(),
        interface: interface.into(),
        source,
    };
    let socket = match group_socket(SocketAddrV6::new(ALL_NODES_SITE, port, 0, 0).into()) {
        Ok(socket) => socket,
        Err(source) => return failed.push(fail("every interface", source)),
    };
    for interface in interfaces {
        if let Err(source) = socket.join_multicast_v6(&ALL_NODES_SITE, interface.index) {
            failed.push(fail(&interface.name, source));
        }
    }
    groups.push(socket);
}

/// A socket that receives only datagrams sent to `group`.
fn group_socket(group: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    if group.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&group.into())?;
    UdpSocket::from_std(socket.into())
}
