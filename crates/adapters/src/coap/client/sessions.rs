//! Our DTLS sessions with devices, one an address, without sockets and clock: made when one is wanted, closed when
//! nobody needs it any more.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::dtls::{self, Client, Credentials};
use coap_link::{Identity, Peer};

/// A session that carries nothing is closed after so long: a device that restarts meanwhile would not know it.
const IDLE: Duration = Duration::from_secs(60);

/// What the sessions have to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Send this datagram.
    Send { address: SocketAddr, bytes: Bytes },
    /// The device has said this.
    Plain { peer: Peer, bytes: Bytes },
    /// It can be spoken to.
    Opened { peer: Peer },
    /// It stands no more, or never did.
    Over { peer: Peer, reason: String },
}

/// What there is when a session is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Open(Peer),
    /// [`Said::Opened`] or [`Said::Over`] follows, with this peer.
    Opening(Peer),
    /// The device is spoken to under another identity already.
    Taken(Identity),
}

#[derive(Debug)]
struct Session {
    client: Client,
    idle_at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<SocketAddr, Session>,
    said: VecDeque<Said>,
}

impl Sessions {
    /// The session with the device at `address`, begun where there is none.
    pub(super) fn want(
        &mut self,
        address: SocketAddr,
        identity: &Identity,
        credentials: &Credentials,
        now: Instant,
    ) -> Wanted {
        let session = self.sessions.entry(address).or_insert_with(|| Session {
            client: Client::connect(address, credentials, now),
            idle_at: now + IDLE,
        });
        session.idle_at = now + IDLE;
        let peer = session.client.peer().clone();
        match &peer.identity {
            Some(other) if other != identity => return Wanted::Taken(other.clone()),
            _ => {}
        }
        if session.client.is_open() {
            return Wanted::Open(peer);
        }
        self.collect(address);
        Wanted::Opening(peer)
    }

    /// Takes a datagram; one from a stranger is dropped.
    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        session.client.receive(from, datagram, now);
        self.collect(from);
    }

    /// Sends a CoAP message. Where the session is gone meanwhile, [`Said::Over`] has told so.
    pub(super) fn send(&mut self, peer: &Peer, message: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(&peer.address) else { return };
        session.idle_at = now + IDLE;
        if let Err(error) = session.client.send(message) {
            tracing::debug!("coap: {error}");
        }
        self.collect(peer.address);
    }

    /// Ends the session with the device; [`Said::Over`] follows.
    pub(super) fn close(&mut self, address: SocketAddr) {
        if let Some(session) = self.sessions.get_mut(&address) {
            session.client.close();
            self.collect(address);
        }
    }

    /// Ends all.
    pub(super) fn close_all(&mut self) {
        for address in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.close(address);
        }
    }

    /// Does what is due; sessions that carried nothing for long and that nobody needs are closed.
    pub(super) fn timeout(&mut self, now: Instant, is_needed: impl Fn(SocketAddr) -> bool) {
        for address in self.sessions.keys().copied().collect::<Vec<_>>() {
            let Some(session) = self.sessions.get_mut(&address) else { continue };
            if session.client.next_deadline().is_some_and(|at| at <= now) {
                session.client.timeout(now);
            }
            if session.idle_at <= now {
                if is_needed(address) || !session.client.is_open() {
                    session.idle_at = now + IDLE;
                } else {
                    session.client.close();
                }
            }
            self.collect(address);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadline = |session: &Session| {
            session.client.next_deadline().map_or(session.idle_at, |at| at.min(session.idle_at))
        };
        self.sessions.values().map(deadline).min()
    }

    /// To be asked after every call until there is nothing more.
    pub(super) fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    /// Takes what a session has to say, and forgets one that is over.
    fn collect(&mut self, address: SocketAddr) {
        let Some(session) = self.sessions.get_mut(&address) else { return };
        let peer = session.client.peer().clone();
        while let Some(output) = session.client.poll() {
            let peer = peer.clone();
            self.said.push_back(match output {
                dtls::Output::Send { address, bytes } => Said::Send { address, bytes: bytes.into() },
                dtls::Output::Plain { bytes, .. } => Said::Plain { peer, bytes: bytes.into() },
                dtls::Output::Opened { .. } => Said::Opened { peer },
                dtls::Output::Closed { reason, .. } => {
                    Said::Over { peer, reason: format!("the DTLS session ended: {reason}") }
                }
                dtls::Output::Refused { reason, .. } => {
                    Said::Over { peer, reason: format!("no DTLS session: {reason}") }
                }
            });
        }
        if session.client.is_over() {
            self.sessions.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests;
