//! Our DTLS sessions with devices, one per address, without sockets and clock: opened on demand, closed when no request
//! needs them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::dtls::{self, Client, Credentials};
use coap_link::{Identity, Peer};

/// An idle session is closed after this time, because a restarted device would not know it.
const IDLE: Duration = Duration::from_secs(60);

/// An output of the sessions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SessionEvent {
    /// Send this datagram.
    Send { address: SocketAddr, bytes: Bytes },
    /// A decrypted message of the device.
    Plain { peer: Peer, bytes: Bytes },
    /// The session is open.
    Opened { peer: Peer },
    /// The session has ended, or could not be opened.
    Closed { peer: Peer, reason: String },
}

/// The state of a requested session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SessionState {
    Open(Peer),
    /// [`SessionEvent::Opened`] or [`SessionEvent::Closed`] follows, with this peer.
    Opening(Peer),
    /// The address has a session under another identity.
    OtherIdentity(Identity),
}

#[derive(Debug)]
struct Session {
    client: Client,
    idle_at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<SocketAddr, Session>,
    events: VecDeque<SessionEvent>,
}

impl Sessions {
    /// Returns the session with the device at `address`, or starts one.
    pub(super) fn get_or_connect(
        &mut self,
        address: SocketAddr,
        identity: &Identity,
        credentials: &Credentials,
        now: Instant,
    ) -> SessionState {
        let session = self.sessions.entry(address).or_insert_with(|| Session {
            client: Client::connect(address, credentials, now),
            idle_at: now + IDLE,
        });
        session.idle_at = now + IDLE;
        let peer = session.client.peer().clone();
        match &peer.identity {
            Some(other) if other != identity => return SessionState::OtherIdentity(other.clone()),
            _ => {}
        }
        if session.client.is_open() {
            return SessionState::Open(peer);
        }
        self.collect(address);
        SessionState::Opening(peer)
    }

    /// Takes a datagram; drops it if there is no session with its sender.
    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        session.client.receive(from, datagram, now);
        self.collect(from);
    }

    /// Sends a CoAP message. If the session has ended, [`SessionEvent::Closed`] was reported.
    pub(super) fn send(&mut self, peer: &Peer, message: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(&peer.address) else { return };
        session.idle_at = now + IDLE;
        if let Err(error) = session.client.send(message) {
            tracing::debug!("coap: {error}");
        }
        self.collect(peer.address);
    }

    /// Ends the session with the device; [`SessionEvent::Closed`] follows.
    pub(super) fn close(&mut self, address: SocketAddr) {
        if let Some(session) = self.sessions.get_mut(&address) {
            session.client.close();
            self.collect(address);
        }
    }

    /// Ends all sessions.
    pub(super) fn close_all(&mut self) {
        for address in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.close(address);
        }
    }

    /// Handles timeouts; closes idle sessions that no request needs.
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

    /// The next event. Call it after every other call until it returns `None`.
    pub(super) fn poll(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Collects the outputs of a session, and removes it if it has ended.
    fn collect(&mut self, address: SocketAddr) {
        let Some(session) = self.sessions.get_mut(&address) else { return };
        let peer = session.client.peer().clone();
        while let Some(output) = session.client.poll() {
            let peer = peer.clone();
            self.events.push_back(match output {
                dtls::Output::Send { address, bytes } => SessionEvent::Send { address, bytes: bytes.into() },
                dtls::Output::Plain { bytes, .. } => SessionEvent::Plain { peer, bytes: bytes.into() },
                dtls::Output::Opened { .. } => SessionEvent::Opened { peer },
                dtls::Output::Closed { reason, .. } => {
                    SessionEvent::Closed { peer, reason: format!("the DTLS session ended: {reason}") }
                }
                dtls::Output::Refused { reason, .. } => {
                    SessionEvent::Closed { peer, reason: format!("no DTLS session: {reason}") }
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
