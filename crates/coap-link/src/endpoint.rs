//! An engine on its own UDP socket, without DTLS.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::engine::{Engine, Output};
use crate::peer::Peer;
use crate::udp::Udp;

#[derive(Debug)]
pub struct Endpoint {
    engine: Engine,
    udp: Udp,
    /// The datagram for which the socket had no space.
    unsent: Option<(SocketAddr, Bytes)>,
    unsendable: u64,
}

impl Endpoint {
    #[must_use]
    pub const fn new(engine: Engine, udp: Udp) -> Self {
        Self { engine, udp, unsent: None, unsendable: 0 }
    }

    /// The engine; call it between two calls of [`next`](Self::next).
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The current time to pass to the engine.
    #[must_use]
    pub fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    /// Datagrams that the system refused to send, for example because there is no route.
    #[must_use]
    pub const fn unsendable(&self) -> u64 {
        self.unsendable
    }

    /// Sends and receives until the engine has an event, which is never [`Output::Send`].
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The system's error of the receive call; the next call may succeed.
    pub async fn next(&mut self) -> io::Result<Output> {
        loop {
            if let Some(output) = self.send_until_event().await? {
                return Ok(output);
            }
            let deadline = self.engine.next_deadline().map(Instant::from_std);
            let (engine, udp) = (&mut self.engine, &mut self.udp);
            let receive = udp.receive(|from, datagram, multicast| {
                let (peer, now) = (Peer::unsecured(from), Instant::now().into_std());
                if multicast {
                    engine.receive_multicast(&peer, datagram, now);
                } else {
                    engine.receive(&peer, datagram, now);
                }
            });
            match deadline {
                None => receive.await?,
                Some(deadline) => tokio::select! {
                    received = receive => received?,
                    () = sleep_until(deadline) => self.engine.timeout(Instant::now().into_std()),
                },
            }
        }
    }

    async fn send_until_event(&mut self) -> io::Result<Option<Output>> {
        loop {
            if let Some((to, datagram)) = &self.unsent {
                match self.udp.try_send(*to, datagram) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.udp.writable().await?;
                        continue;
                    }
                    Err(_) => self.unsendable += 1,
                    Ok(()) => {}
                }
                self.unsent = None;
            }
            match self.engine.poll() {
                Some(Output::Send { peer, bytes }) => self.unsent = Some((peer.address, bytes)),
                other => return Ok(other),
            }
        }
    }
}
