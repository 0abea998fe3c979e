//! The client's side: one session of ours with a server at one address.
//!
//! It sends its handshake again until the server answers, and gives up after four times (about half a minute). When it has
//! closed or was refused it stays so: whoever owns it decides when to make another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, PskResolver};

use super::keys::{Key, check};
use super::outcome::{Closing, Output, Refusal, SendError, SetupError};
use super::session::{Event, Fault, LONGEST_PLAINTEXT, Session};
use super::{faults, record, vouch};
use crate::{Identity, Peer};

/// Who we are to a server, and the key that proves it. Cheap to clone; made once for all attempts.
#[derive(Debug, Clone)]
pub struct Credentials {
    identity: Identity,
    config: Arc<Config>,
}

impl Credentials {
    /// The `identity` that we show and its `key`.
    ///
    /// # Errors
    /// The identity is empty or too long.
    pub fn new(identity: Identity, key: Key) -> Result<Self, SetupError> {
        check(&identity)?;
        let config = Config::builder()
            .with_crypto_provider(vouch::provider())
            .with_psk_client(identity.as_bytes().to_vec(), Arc::new(TheKey(key)))
            .build()
            .map_err(SetupError::Library)?;
        Ok(Self { identity, config: Arc::new(config) })
    }
}

struct TheKey(Key);

impl PskResolver for TheKey {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.expose().to_vec())
    }
}

/// One DTLS session with a server.
///
/// After every call take the outputs with [`Self::poll`], and call [`Self::timeout`] at [`Self::next_deadline`].
#[derive(Debug)]
pub struct Client {
    peer: Peer,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Opening(Session),
    Open(Session),
    Over,
}

impl Client {
    /// Begins a handshake with the server at `address`.
    #[must_use]
    pub fn connect(address: SocketAddr, credentials: &Credentials, now: Instant) -> Self {
        let peer = Peer::secured(address, credentials.identity.clone());
        let mut client = Self { peer, state: State::Over, outputs: VecDeque::new() };
        match Session::connect(&credentials.config, now) {
            Ok((session, events)) => {
                client.state = State::Opening(session);
                client.go_on(events);
            }
            Err(fault) => client.refuse(faults::of_our_handshake(fault)),
        }
        client
    }

    /// The server, as it appears in the outputs: its address and the identity that *we* show.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether plaintext can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether it was refused or has closed. It stays so.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes a datagram that came from `address`; one from elsewhere is dropped.
    pub fn receive(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if address == self.peer.address {
            for record in record::all(datagram) {
                self.step(|session| session.receive(record.bytes, now));
            }
        }
    }

    /// Does what is due at `now`: sends again, or gives up.
    pub fn timeout(&mut self, now: Instant) {
        self.step(|session| session.timeout(now));
    }

    /// Sends `plaintext` in one record.
    ///
    /// # Errors
    /// The session does not stand (yet), or the plaintext is too long for a record (16 KiB).
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), SendError> {
        if plaintext.len() > LONGEST_PLAINTEXT {
            return Err(SendError::TooLong { length: plaintext.len(), most: LONGEST_PLAINTEXT });
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

    /// Ends the session and tells the server so, or gives the handshake up.
    pub fn close(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Open(mut session) => {
                let events = session.close();
                self.go_on(events);
                self.end(Closing::Here);
            }
            State::Opening(_) | State::Over => {}
        }
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::timeout`] is to be called; `None` when it is over.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Opening(session) | State::Open(session) => Some(session.wake()),
            State::Over => None,
        }
    }

    fn step(&mut self, call: impl FnOnce(&mut Session) -> Result<Vec<Event>, Fault>) {
        let (State::Opening(session) | State::Open(session)) = &mut self.state else { return };
        match (call(session), self.is_open()) {
            (Ok(events), _) => self.go_on(events),
            (Err(fault), true) => self.end(faults::of_session(fault)),
            (Err(fault), false) => self.refuse(faults::of_our_handshake(fault)),
        }
    }

    fn go_on(&mut self, events: Vec<Event>) {
        let address = self.peer.address;
        for event in events {
            match event {
                Event::Send(bytes) => self.outputs.push_back(Output::Send { address, bytes }),
                Event::Plain(bytes) => {
                    self.outputs.push_back(Output::Plain { peer: self.peer.clone(), bytes });
                }
                Event::Connected => self.open(),
                Event::Goodbye => self.end(Closing::ByPeer),
            }
        }
    }

    fn open(&mut self) {
        if let State::Opening(session) = std::mem::replace(&mut self.state, State::Over) {
            self.state = State::Open(session);
            self.outputs.push_back(Output::Opened { peer: self.peer.clone() });
        }
    }

    fn end(&mut self, reason: Closing) {
        self.state = State::Over;
        self.outputs.push_back(Output::Closed { peer: self.peer.clone(), reason });
    }

    fn refuse(&mut self, reason: Refusal) {
        self.state = State::Over;
        let Peer { address, identity } = self.peer.clone();
        self.outputs.push_back(Output::Refused { address, identity, reason });
    }
}
