//! The sockets of the CoAP server: one for unicast and, if discovery is on, those of "All CoAP Nodes".

use std::io;
use std::net::SocketAddr;

use coap_link::Udp;
use gateway_core::AdapterId;
use tracing::warn;

use crate::datagrams::{DatagramSocket, UdpListener};

pub(super) type CoapListener = UdpListener<CoapSocket>;

#[derive(Debug)]
pub(super) struct CoapSocket(Udp);

impl CoapSocket {
    pub(super) fn bind(_adapter: &AdapterId, address: SocketAddr) -> io::Result<Self> {
        Udp::bind(address).map(Self)
    }

    /// Also joins the discovery groups, unless the address is loopback.
    pub(super) fn bind_with_groups(adapter: &AdapterId, address: SocketAddr) -> io::Result<Self> {
        let mut udp = Udp::bind(address)?;
        if !address.ip().is_loopback() {
            match udp.join_all_coap_nodes() {
                Ok(failed) => {
                    for error in failed {
                        warn!(%adapter, "coap: {error}: {}", error.source);
                    }
                }
                Err(error) => warn!(%adapter, "coap: no discovery by multicast: {error}"),
            }
        }
        Ok(Self(udp))
    }
}

impl DatagramSocket for CoapSocket {
    fn receive(
        &mut self,
        take: impl FnMut(SocketAddr, &[u8], bool) + Send,
    ) -> impl Future<Output = io::Result<()>> + Send {
        self.0.receive(take)
    }

    fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.0.try_send(to, datagram)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.0.writable()
    }
}
