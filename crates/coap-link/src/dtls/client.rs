//! The client side: one DTLS session with a server.
//!
//! The client retransmits its handshake until the server answers, and fails after four retransmissions (about half a minute).
//! A closed or failed client stays so; its owner creates another one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, PskResolver};

use super::keys::{Key, check};
use super::output::{CloseReason, HandshakeFailure, Output, SendError, SetupError};
use super::session::{MAX_PLAINTEXT, Session, SessionError, SessionEvent};
use super::{cookie_provider, failures, record};
use crate::{Identity, Peer};

/// Our identity and its key. Cheap to clone; created once for all attempts.
#[derive(Debug, Clone)]
pub struct Credentials {
    identity: Identity,
    config: Arc<Config>,
}

impl Credentials {
    ///
    /// # Errors
    /// If the identity is empty or too long.
    pub fn new(identity: Identity, key: Key) -> Result<Self, SetupError> {
        check(&identity)?;
        let config = Config::builder()
            .with_crypto_provider(cookie_provider::provider())
            .with_psk_client(identity.as_bytes().to_vec(), Arc::new(ClientKeyResolver(key)))
            .build()
            .map_err(SetupError::Library)?;
        Ok(Self { identity, config: Arc::new(config) })
    }
}

struct ClientKeyResolver(Key);

impl PskResolver for ClientKeyResolver {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.expose().to_vec())
    }
}

/// A DTLS session with a server.
///
/// After every call read the outputs with [`Self::poll`], and call [`Self::timeout`] at [`Self::next_deadline`].
#[derive(Debug)]
pub struct Client {
    peer: Peer,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Opening(Session),
    OpenSession(Session),
    Over,
}

impl Client {
    /// Starts a handshake with the server at `address`.
    #[must_use]
    pub fn connect(address: SocketAddr, credentials: &Credentials, now: Instant) -> Self {
        let peer = Peer::secured(address, credentials.identity.clone());
        let mut client = Self { peer, state: State::Over, outputs: VecDeque::new() };
        match Session::connect(&credentials.config, now) {
            Ok((session, events)) => {
                client.state = State::Opening(session);
                client.handle_events(events);
            }
            Err(error) => client.refuse(failures::server_handshake_failure(error)),
        }
        client
    }

    /// The server as it appears in the outputs: its address, and our own identity.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether plaintext can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::OpenSession(_))
    }

    /// Whether it has failed or closed. It stays so.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Handles a datagram from `address`; one from another address is dropped.
    pub fn receive(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if address == self.peer.address {
            for record in record::all(datagram) {
                self.step(|session| session.receive(record.bytes, now));
            }
        }
    }

    /// Does what is due: retransmits, or fails.
    pub fn timeout(&mut self, now: Instant) {
        self.step(|session| session.timeout(now));
    }

    /// Sends `plaintext` in one record.
    ///
    /// # Errors
    /// If the session is not open, or the plaintext is too long for a record (16 KiB).
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), SendError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SendError::TooLong { length: plaintext.len(), most: MAX_PLAINTEXT });
        }
        if !self.is_open() {
            return Err(SendError::NoSession { peer: self.peer.clone() });
        }
        self.step(|session| session.send(plaintext));
        if self.is_over() {
            return Err(SendError::Broken { peer: self.peer.clone() });
        }
        Ok(())
    }

    /// Closes the session with a close_notify, or cancels the handshake.
    pub fn close(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::OpenSession(mut session) => {
                let events = session.close();
                self.handle_events(events);
                self.end(CloseReason::Here);
            }
            State::Opening(_) | State::Over => {}
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::timeout`]; `None` after the end.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Opening(session) | State::OpenSession(session) => Some(session.next_timeout()),
            State::Over => None,
        }
    }

    fn step(&mut self, call: impl FnOnce(&mut Session) -> Result<Vec<SessionEvent>, SessionError>) {
        let (State::Opening(session) | State::OpenSession(session)) = &mut self.state else { return };
        match (call(session), self.is_open()) {
            (Ok(events), _) => self.handle_events(events),
            (Err(error), true) => self.end(failures::close_reason(error)),
            (Err(error), false) => self.refuse(failures::server_handshake_failure(error)),
        }
    }

    fn handle_events(&mut self, events: Vec<SessionEvent>) {
        let address = self.peer.address;
        for event in events {
            match event {
                SessionEvent::Send(bytes) => self.outputs.push_back(Output::Send { address, bytes }),
                SessionEvent::Plain(bytes) => {
                    self.outputs.push_back(Output::Plain { peer: self.peer.clone(), bytes });
                }
                SessionEvent::Connected => self.open(),
                SessionEvent::CloseNotify => self.end(CloseReason::ByPeer),
            }
        }
    }

    fn open(&mut self) {
        if let State::Opening(session) = std::mem::replace(&mut self.state, State::Over) {
            self.state = State::OpenSession(session);
            self.outputs.push_back(Output::Opened { peer: self.peer.clone() });
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Over;
        self.outputs.push_back(Output::Closed { peer: self.peer.clone(), reason });
    }

    fn refuse(&mut self, reason: HandshakeFailure) {
        self.state = State::Over;
        let Peer { address, identity } = self.peer.clone();
        self.outputs.push_back(Output::Refused { address, identity, reason });
    }
}
