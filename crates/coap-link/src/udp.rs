//! The sockets: one for everything that is sent and for what comes to us alone, others for the multicast groups, so
//! that one knows which requests came to a group (RFC 7252, 8).

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::interfaces::Interface;

/// "All CoAP Nodes": IPv4, and IPv6 on the link and the site (RFC 7252, 12.8).
const ALL_NODES_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 187);
const ALL_NODES_LINK: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfd);
const ALL_NODES_SITE: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0xfd);

/// Datagrams that are taken from a socket before others have their turn.
const BATCH: usize = 64;
/// A datagram is never longer.
const LONGEST_DATAGRAM: usize = 65_535;
/// Bytes that wait in a socket while we are busy: as much as Linux gives without privileges.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A UDP socket and those of the groups that it belongs to.
#[derive(Debug)]
pub struct Udp {
    unicast: UdpSocket,
    groups: Vec<UdpSocket>,
    buffer: Box<[u8]>,
}

/// A group that could not be joined on an interface.
#[derive(Debug, thiserror::Error)]
#[error("cannot join the CoAP group {group} on {interface}: discovery by multicast does not work there")]
pub struct JoinError {
    /// Which group.
    pub group: IpAddr,
    /// The interface's name.
    pub interface: String,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

impl Udp {
    /// Binds to `address`, port 0 for any free one. `[::]` takes IPv4 too where the system does so by default.
    ///
    /// # Errors
    /// What the operating system says: mostly that the port is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        hear_no_groups(&socket, address);
        // Best effort: a small buffer loses datagrams in a burst, which CoAP repairs.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
        let unicast = UdpSocket::from_std(socket.into())?;
        Ok(Self { unicast, groups: Vec::new(), buffer: vec![0; LONGEST_DATAGRAM].into_boxed_slice() })
    }

    /// The address and port that it is bound to.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.unicast.local_addr()
    }

    /// Joins "All CoAP Nodes" on every interface that can do multicast; tells where that failed.
    ///
    /// # Errors
    /// What the operating system says on our own socket; single groups and interfaces are in the list.
    pub fn join_all_coap_nodes(&mut self) -> io::Result<Vec<JoinError>> {
        let address = self.local_address()?;
        let unicast = SockRef::from(&self.unicast);
        // Shared only while the groups' sockets are bound, so that a second endpoint on this port still fails.
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

    /// Waits for datagrams and hands over some: from whom, the bytes, and whether they came to a group.
    ///
    /// Safe to cancel: what was not handed over stays in the socket.
    ///
    /// # Errors
    /// What the operating system says; the next call may well work.
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

    /// Sends a datagram if there is room for it now.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] without room, see [`writable`](Self::writable); else what the operating system
    /// says of this address.
    pub fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.unicast.try_send_to(datagram, to).map(|_| ())
    }

    /// Waits until there is room to send.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.unicast.writable().await
    }
}

/// Else Linux also hands over what is sent to any group that anybody on this machine has joined.
#[cfg(target_os = "linux")]
fn hear_no_groups(socket: &Socket, address: SocketAddr) {
    // A kernel before 4.20 does not know it for IPv6: then requests to a group are answered without leisure.
    let _ = socket.set_multicast_all_v4(false);
    if address.is_ipv6() {
        let _ = socket.set_multicast_all_v6(false);
    }
}

#[cfg(not(target_os = "linux"))]
fn hear_no_groups(_socket: &Socket, _address: SocketAddr) {}

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

/// The link's group has a socket for each interface: its address holds only together with one.
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

/// A socket that hears only what is sent to `group`.
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
