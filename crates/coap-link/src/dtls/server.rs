//! The server side: many peers behind one UDP port.
//!
//! Guarantees:
//! - No state is kept for a ClientHello whose sender has not proven its address.
//! - An established session ends only by its peer's keys, by silence, or to admit another peer after a time of silence; never
//!   by a forged datagram. A peer that starts a new handshake at the same address keeps its old session until the new one is
//!   established (RFC 6347, 4.2.8).
//! - An unknown identity cannot be distinguished from a wrong key on the wire.
//! - Sessions, handshakes and outputs are bounded.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, PskResolver};

use super::cookie::Cookies;
use super::handshakes::{ClaimedIdentity, Handshake, HandshakeTable};
use super::hello::{HandshakeStart, Hello, begin};
use super::key_resolver::ServerKeyResolver;
use super::keys::Keys;
use super::limits::Limits;
use super::output::{CloseReason, Counters, HandshakeFailure, Output, SendError, SetupError, count};
use super::record::{self, HANDSHAKE, Record};
use super::session::{MAX_PLAINTEXT, Session, SessionError, SessionEvent};
use super::sessions::{Capacity, SessionTable};
use super::{cookie_provider, failures};
use crate::{Identity, Peer};

/// Outputs kept for an owner that does not poll.
const MAX_OUTPUTS: usize = 4096;

/// Early records that a handshake keeps. A client whose key exchange is lost repeatedly leaves half a dozen of 5 kB each.
const MAX_EARLY_RECORDS: usize = 12;
/// So many that `Limits::handshake` ends a handshake, not the number of retries.
const MAX_RETRIES: usize = 16;
/// In bytes: far above a key exchange with the longest identity.
const MAX_HANDSHAKE_RECORD: usize = 1500;

/// DTLS for all peers behind one UDP port.
///
/// After every call read the outputs with [`Self::poll`], and call [`Self::timeout`] at [`Self::next_deadline`].
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    resolver: Arc<ServerKeyResolver>,
    limits: Limits,
    cookies: Cookies,
    handshakes: HandshakeTable,
    sessions: SessionTable,
    outputs: VecDeque<Output>,
    counts: Counters,
}

impl Server {
    /// A server that accepts clients with one of `keys`.
    ///
    /// # Errors
    /// If `limits.handshake` is zero or more than ten years.
    pub fn new(keys: Keys, limits: Limits, now: Instant) -> Result<Self, SetupError> {
        let resolver = Arc::new(ServerKeyResolver::new(keys));
        let config = Config::builder()
            .with_crypto_provider(cookie_provider::provider())
            .with_psk_server(None, Arc::clone(&resolver) as Arc<dyn PskResolver>)
            .handshake_timeout(limits.handshake)
            .max_queue_rx(MAX_EARLY_RECORDS)
            .flight_retries(MAX_RETRIES)
            .build()
            .map_err(SetupError::Library)?;
        Ok(Self {
            config: Arc::new(config),
            resolver,
            limits,
            cookies: Cookies::new(now),
            handshakes: HandshakeTable::default(),
            sessions: SessionTable::default(),
            outputs: VecDeque::new(),
            counts: Counters::default(),
        })
    }

    /// Handles a datagram from `address`.
    pub fn receive(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if self.outputs.len() >= MAX_OUTPUTS {
            return self.count_dropped("backlog");
        }
        let mut records = record::all(datagram).peekable();
        if records.peek().is_none() {
            return self.count_dropped("not_dtls");
        }
        for record in records {
            self.handle_record(address, record, now);
        }
    }

    /// Passes a record to its handshake or session.
    fn handle_record(&mut self, address: SocketAddr, record: Record<'_>, now: Instant) {
        match begin(record) {
            Some(HandshakeStart::Hello(hello)) => return self.handle_hello(address, &hello, now),
            Some(HandshakeStart::Unreadable) => return self.count_dropped("bad_hello"),
            None => {}
        }
        let of_handshake = record.epoch == 0 || record.kind == HANDSHAKE;
        let is_half_open = self.handshakes.get(address).is_some();
        let is_established = self.sessions.get(address).is_some();
        if is_half_open && (of_handshake || !is_established) {
            self.handle_handshake_record(address, record.bytes, now);
        } else if is_established {
            self.handle_session_record(address, record.bytes, now);
        } else {
            self.count_dropped("no_session");
        }
    }

    /// Sends `plaintext` to a peer that has a session, in one record.
    ///
    /// # Errors
    /// If there is no session with this peer, or the plaintext is too long for a record (16 KiB).
    pub fn send(&mut self, peer: &Peer, plaintext: &[u8]) -> Result<(), SendError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SendError::TooLong { length: plaintext.len(), most: MAX_PLAINTEXT });
        }
        let open = self.sessions.of_peer(peer).ok_or_else(|| SendError::NoSession { peer: peer.clone() })?;
        match open.session.send(plaintext) {
            Ok(events) => {
                self.push_outputs(peer.address, events);
                Ok(())
            }
            Err(error) => {
                self.close_session(peer.address, failures::close_reason(error));
                Err(SendError::Broken { peer: peer.clone() })
            }
        }
    }

    /// Closes the session with a peer and sends it a close_notify. Does nothing if there is none.
    pub fn close(&mut self, peer: &Peer) {
        if self.sessions.of_peer(peer).is_some() {
            self.close_session(peer.address, CloseReason::Here);
        }
    }

    /// Closes all sessions and notifies the peers, which would not notice by themselves that the keys are gone.
    pub fn close_all(&mut self) {
        for address in self.sessions.addresses() {
            self.close_session(address, CloseReason::Here);
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Does what is due at `now`: retransmits, fails handshakes, closes idle sessions.
    pub fn timeout(&mut self, now: Instant) {
        for address in self.handshakes.due(now) {
            let Some(handshake) = self.handshakes.get_mut(address) else { continue };
            let result = handshake.session.timeout(now);
            self.handle_handshake_events(address, result, now);
        }
        for address in self.sessions.due(now) {
            let Some(open) = self.sessions.get_mut(address) else { continue };
            if open.is_idle(&self.limits, now) {
                self.close_session(address, CloseReason::Idle);
                continue;
            }
            let result = open.session.timeout(now);
            self.handle_session_events(address, result, now);
        }
    }

    /// When to call [`Self::timeout`]; `None` without peers.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.handshakes.next_deadline(), self.sessions.next_deadline()].into_iter().flatten().min()
    }

    /// The number of established sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The number of unfinished handshakes.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// Counters since the start.
    #[must_use]
    pub const fn counts(&self) -> &Counters {
        &self.counts
    }

    /// A ClientHello: requests a cookie, or starts a handshake if its cookie is valid.
    fn handle_hello(&mut self, address: SocketAddr, hello: &Hello<'_>, now: Instant) {
        let is_repeated = |random| random == hello.random && !hello.cookie.is_empty();
        if self.handshakes.get(address).is_some_and(|handshake| is_repeated(handshake.random)) {
            return self.handle_handshake_record(address, hello.record(), now);
        }
        if self.sessions.get(address).is_some_and(|open| is_repeated(open.random)) {
            return self.handle_session_record(address, hello.record(), now);
        }
        let Some(cookie) = self.cookies.check(address, hello, now) else {
            if let Some(cookie) = self.cookies.make(address, hello, now) {
                self.counts.verified = self.counts.verified.saturating_add(1);
                self.outputs.push_back(Output::Send { address, bytes: hello.verify_request(&cookie) });
            }
            return;
        };
        // RFC 6347, 4.2.2: the second ClientHello is message 1.
        if hello.message_seq != 1 {
            return self.count_dropped("bad_hello");
        }
        if !hello.offers_cipher_suite() {
            return self.reject(address, hello, HandshakeFailure::NoCommonSuite);
        }
        if self.sessions.capacity(address, None, &self.limits, now) == Capacity::None {
            return self.reject(address, hello, HandshakeFailure::Full);
        }
        self.handshakes.remove(address);
        match Session::accept(&self.config, hello, cookie, now) {
            Ok((_, events)) if events.is_empty() => {
                let what = "its ClientHello cannot be read".to_owned();
                self.reject(address, hello, HandshakeFailure::Broken { what });
            }
            Ok((session, events)) => {
                if let Some((at, evicted)) =
                    self.handshakes.insert(address, session, hello.random, &self.limits, now)
                {
                    self.refuse(at, evicted.claim.map(|claim| claim.identity), HandshakeFailure::Crowded);
                }
                self.push_outputs(address, events);
            }
            Err(error) => self.reject(address, hello, failures::client_handshake_failure(error, None)),
        }
    }

    /// Refuses a client with a verified address without keeping state for it.
    fn reject(&mut self, address: SocketAddr, hello: &Hello<'_>, reason: HandshakeFailure) {
        if let Some(description) = failures::alert_for(&reason) {
            let bytes = record::fatal_alert(hello.sequence(), description);
            self.outputs.push_back(Output::Send { address, bytes });
        }
        self.refuse(address, None, reason);
    }

    fn handle_handshake_record(&mut self, address: SocketAddr, record: &[u8], now: Instant) {
        if record.len() > MAX_HANDSHAKE_RECORD {
            return self.count_dropped("too_long");
        }
        let Some(handshake) = self.handshakes.get_mut(address) else { return };
        let result = handshake.session.receive(record, now);
        if let Some(claim) = self.resolver.take_claim() {
            handshake.claim = Some(claim);
        }
        self.handle_handshake_events(address, result, now);
    }

    fn handle_handshake_events(
        &mut self,
        address: SocketAddr,
        result: Result<Vec<SessionEvent>, SessionError>,
        now: Instant,
    ) {
        match result {
            Ok(events) if events.contains(&SessionEvent::Connected) => {
                if let Some(handshake) = self.handshakes.remove(address) {
                    self.establish(address, handshake, events, now);
                }
            }
            Ok(events) => {
                self.handshakes.set_timer(address);
                self.push_outputs(address, events);
            }
            Err(error) => {
                if let Some(handshake) = self.handshakes.remove(address) {
                    self.fail_handshake(address, handshake, |claim| {
                        failures::client_handshake_failure(error, claim)
                    });
                }
            }
        }
    }

    /// The peer has proven that it holds the key of its identity.
    fn establish(
        &mut self,
        address: SocketAddr,
        handshake: Handshake,
        events: Vec<SessionEvent>,
        now: Instant,
    ) {
        let Some(ClaimedIdentity { identity, known: true }) = handshake.claim.clone() else {
            return self.fail_handshake(address, handshake, |_| HandshakeFailure::WrongKey);
        };
        match self.sessions.capacity(address, Some(&identity), &self.limits, now) {
            Capacity::None => return self.fail_handshake(address, handshake, |_| HandshakeFailure::Full),
            Capacity::Evict(at) => self.close_session(at, CloseReason::Evicted),
            Capacity::Free => self.close_session(address, CloseReason::Replaced),
        }
        let peer = Peer::secured(address, identity.clone());
        self.sessions.insert(address, handshake.session, identity, handshake.random, now);
        self.counts.opened = self.counts.opened.saturating_add(1);
        self.outputs.push_back(Output::Opened { peer });
        self.handle_session_events(address, Ok(events), now);
    }

    /// Ends a handshake, with an alert if the peer may have one.
    fn fail_handshake(
        &mut self,
        address: SocketAddr,
        handshake: Handshake,
        reason: impl FnOnce(Option<&ClaimedIdentity>) -> HandshakeFailure,
    ) {
        let reason = reason(handshake.claim.as_ref());
        if let Some(description) = failures::alert_for(&reason) {
            let bytes = handshake.session.fatal_alert(description);
            self.outputs.push_back(Output::Send { address, bytes });
        }
        self.refuse(address, handshake.claim.map(|claim| claim.identity), reason);
    }

    fn refuse(&mut self, address: SocketAddr, identity: Option<Identity>, reason: HandshakeFailure) {
        count(&mut self.counts.refused, reason.label());
        self.outputs.push_back(Output::Refused { address, identity, reason });
    }

    fn handle_session_record(&mut self, address: SocketAddr, record: &[u8], now: Instant) {
        let Some(open) = self.sessions.get_mut(address) else { return };
        let result = open.session.receive(record, now);
        self.handle_session_events(address, result, now);
    }

    fn handle_session_events(
        &mut self,
        address: SocketAddr,
        result: Result<Vec<SessionEvent>, SessionError>,
        now: Instant,
    ) {
        let events = match result {
            Ok(events) => events,
            Err(error) => return self.close_session(address, failures::close_reason(error)),
        };
        let is_over = events.contains(&SessionEvent::CloseNotify);
        if let Some(open) = self.sessions.get_mut(address)
            && events.iter().any(|event| matches!(event, SessionEvent::Plain(_)))
        {
            open.touch(now);
        }
        self.sessions.set_timer(address, &self.limits);
        self.push_outputs(address, events);
        if is_over {
            self.close_session(address, CloseReason::ByPeer);
        }
    }

    /// Closes the session at `address`, if there is one.
    fn close_session(&mut self, address: SocketAddr, reason: CloseReason) {
        let Some(mut open) = self.sessions.remove(address) else { return };
        // A peer that has started anew no longer has the keys to decrypt a close_notify.
        if matches!(reason, CloseReason::Here | CloseReason::Idle | CloseReason::Evicted) {
            let events = open.session.close();
            self.push_outputs(address, events);
        }
        count(&mut self.counts.closed, reason.label());
        self.outputs.push_back(Output::Closed { peer: Peer::secured(address, open.identity), reason });
    }

    /// Outputs the datagrams of a session and the plaintext of its peer.
    fn push_outputs(&mut self, address: SocketAddr, events: Vec<SessionEvent>) {
        let identity = self.sessions.get(address).map(|open| open.identity.clone());
        for event in events {
            match (event, &identity) {
                (SessionEvent::Send(bytes), _) => self.outputs.push_back(Output::Send { address, bytes }),
                (SessionEvent::Plain(bytes), Some(identity)) => {
                    let peer = Peer::secured(address, identity.clone());
                    self.outputs.push_back(Output::Plain { peer, bytes });
                }
                _ => {}
            }
        }
    }

    fn count_dropped(&mut self, label: &'static str) {
        count(&mut self.counts.dropped, label);
    }
}
