//! The server's side: many peers behind one UDP port.
//!
//! Promises:
//! - Nothing is kept for a ClientHello whose sender has not shown that it receives at its address.
//! - A session that stands ends only by its peer's keys, by silence, or for want of room after a time of silence; never
//!   by a datagram that anybody can forge. A peer that starts anew at the same address keeps its old session until the
//!   new one stands (RFC 6347, 4.2.8).
//! - An unknown identity is treated as a wrong key is, to the last byte on the wire.
//! - Sessions, handshakes and outputs are bounded.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, PskResolver};

use super::cookie::Cookies;
use super::established::{Established, Room};
use super::half_open::{Asked, HalfOpen, Handshake};
use super::hello::{Begin, Hello, begin};
use super::keys::Keys;
use super::limits::Limits;
use super::outcome::{Closing, Counts, Output, Refusal, SendError, SetupError, count};
use super::record::{self, HANDSHAKE, Record};
use super::resolver::Resolver;
use super::session::{Event, Fault, LONGEST_PLAINTEXT, Session};
use super::{faults, vouch};
use crate::{Identity, Peer};

/// Outputs kept for an owner that does not poll.
const MOST_OUTPUTS: usize = 4096;

/// Records that a handshake keeps because they came too early. A client whose key exchange is lost time and again leaves
/// half a dozen; each takes 5 kB.
const MOST_WAITING: usize = 12;
/// So many that `Limits::handshake` ends a handshake, not the number of retries.
const MOST_RETRIES: usize = 16;
/// The longest record of a handshake, in bytes: a key exchange with the longest identity is far from it.
const LONGEST_IN_HANDSHAKE: usize = 1500;

/// DTLS for all peers behind one UDP port.
///
/// After every call take the outputs with [`Self::poll`], and call [`Self::timeout`] at [`Self::next_deadline`].
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    resolver: Arc<Resolver>,
    limits: Limits,
    cookies: Cookies,
    half_open: HalfOpen,
    established: Established,
    outputs: VecDeque<Output>,
    counts: Counts,
}

impl Server {
    /// A server that lets in whoever holds one of `keys`.
    ///
    /// # Errors
    /// `limits.handshake` is zero or more than ten years.
    pub fn new(keys: Keys, limits: Limits, now: Instant) -> Result<Self, SetupError> {
        let resolver = Arc::new(Resolver::new(keys));
        let config = Config::builder()
            .with_crypto_provider(vouch::provider())
            .with_psk_server(None, Arc::clone(&resolver) as Arc<dyn PskResolver>)
            .handshake_timeout(limits.handshake)
            .max_queue_rx(MOST_WAITING)
            .flight_retries(MOST_RETRIES)
            .build()
            .map_err(SetupError::Library)?;
        Ok(Self {
            config: Arc::new(config),
            resolver,
            limits,
            cookies: Cookies::new(now),
            half_open: HalfOpen::default(),
            established: Established::default(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        })
    }

    /// Takes a datagram that came from `address`.
    pub fn receive(&mut self, address: SocketAddr, datagram: &[u8], now: Instant) {
        if self.outputs.len() >= MOST_OUTPUTS {
            return self.drop_as("backlog");
        }
        let mut records = record::all(datagram).peekable();
        if records.peek().is_none() {
            return self.drop_as("not_dtls");
        }
        for record in records {
            self.record(address, record, now);
        }
    }

    /// Finds out whose a record is.
    fn record(&mut self, address: SocketAddr, record: Record<'_>, now: Instant) {
        match begin(record) {
            Some(Begin::Hello(hello)) => return self.hello(address, &hello, now),
            Some(Begin::Unreadable) => return self.drop_as("bad_hello"),
            None => {}
        }
        let of_handshake = record.epoch == 0 || record.kind == HANDSHAKE;
        let is_half_open = self.half_open.get(address).is_some();
        let is_established = self.established.get(address).is_some();
        if is_half_open && (of_handshake || !is_established) {
            self.advance(address, record.bytes, now);
        } else if is_established {
            self.hear(address, record.bytes, now);
        } else {
            self.drop_as("no_session");
        }
    }

    /// Sends `plaintext` to a peer that has a session, in one record.
    ///
    /// # Errors
    /// There is no session with this peer, or the plaintext is too long for a record (16 KiB).
    pub fn send(&mut self, peer: &Peer, plaintext: &[u8]) -> Result<(), SendError> {
        if plaintext.len() > LONGEST_PLAINTEXT {
            return Err(SendError::TooLong { length: plaintext.len(), most: LONGEST_PLAINTEXT });
        }
        let open =
            self.established.of_peer(peer).ok_or_else(|| SendError::NoSession { peer: peer.clone() })?;
        match open.session.send(plaintext) {
            Ok(events) => {
                self.say(peer.address, events);
                Ok(())
            }
            Err(fault) => {
                self.close_for(peer.address, faults::of_session(fault));
                Err(SendError::Broken { peer: peer.clone() })
            }
        }
    }

    /// Ends the session with a peer and tells it so. Does nothing where there is none.
    pub fn close(&mut self, peer: &Peer) {
        if self.established.of_peer(peer).is_some() {
            self.close_for(peer.address, Closing::Here);
        }
    }

    /// Ends all sessions and tells the peers so: they would not find out by themselves that we forget their keys.
    pub fn close_all(&mut self) {
        for address in self.established.addresses() {
            self.close_for(address, Closing::Here);
        }
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Does what is due at `now`: sends again, gives up, closes what is idle.
    pub fn timeout(&mut self, now: Instant) {
        for address in self.half_open.due(now) {
            let Some(handshake) = self.half_open.get_mut(address) else { continue };
            let result = handshake.session.timeout(now);
            self.progress(address, result, now);
        }
        for address in self.established.due(now) {
            let Some(open) = self.established.get_mut(address) else { continue };
            if open.is_idle(&self.limits, now) {
                self.close_for(address, Closing::Idle);
                continue;
            }
            let result = open.session.timeout(now);
            self.talk(address, result, now);
        }
    }

    /// When [`Self::timeout`] is to be called; `None` as long as there is nobody.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.half_open.next_deadline(), self.established.next_deadline()].into_iter().flatten().min()
    }

    /// How many sessions stand.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.established.len()
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.half_open.len()
    }

    /// How often what has happened since the start.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A ClientHello: asks for a cookie, or begins a handshake for one that is good.
    fn hello(&mut self, address: SocketAddr, hello: &Hello<'_>, now: Instant) {
        let is_repeated = |random| random == hello.random && !hello.cookie.is_empty();
        if self.half_open.get(address).is_some_and(|handshake| is_repeated(handshake.random)) {
            return self.advance(address, hello.record(), now);
        }
        if self.established.get(address).is_some_and(|open| is_repeated(open.random)) {
            return self.hear(address, hello.record(), now);
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
            return self.drop_as("bad_hello");
        }
        if !hello.offers_our_suite() {
            return self.turn_away(address, hello, Refusal::NoCommonSuite);
        }
        if self.established.room(address, None, &self.limits, now) == Room::None {
            return self.turn_away(address, hello, Refusal::Full);
        }
        self.half_open.take(address);
        match Session::accept(&self.config, hello, cookie, now) {
            Ok((_, events)) if events.is_empty() => {
                let what = "its ClientHello cannot be read".to_owned();
                self.turn_away(address, hello, Refusal::Broken { what });
            }
            Ok((session, events)) => {
                if let Some((at, evicted)) =
                    self.half_open.begin(address, session, hello.random, &self.limits, now)
                {
                    self.refuse(at, evicted.asked.map(|asked| asked.identity), Refusal::Crowded);
                }
                self.say(address, events);
            }
            Err(fault) => self.turn_away(address, hello, faults::of_clients_handshake(fault, None)),
        }
    }

    /// Refuses a client that has shown its address before anything is kept for it.
    fn turn_away(&mut self, address: SocketAddr, hello: &Hello<'_>, reason: Refusal) {
        if let Some(description) = faults::alert_for(&reason) {
            let bytes = record::fatal_alert(hello.sequence(), description);
            self.outputs.push_back(Output::Send { address, bytes });
        }
        self.refuse(address, None, reason);
    }

    /// A record for a handshake that is under way.
    fn advance(&mut self, address: SocketAddr, record: &[u8], now: Instant) {
        if record.len() > LONGEST_IN_HANDSHAKE {
            return self.drop_as("too_long");
        }
        let Some(handshake) = self.half_open.get_mut(address) else { return };
        let result = handshake.session.receive(record, now);
        if let Some(asked) = self.resolver.take_asked() {
            handshake.asked = Some(asked);
        }
        self.progress(address, result, now);
    }

    /// What has come of a step of a handshake.
    fn progress(&mut self, address: SocketAddr, result: Result<Vec<Event>, Fault>, now: Instant) {
        match result {
            Ok(events) if events.contains(&Event::Connected) => {
                if let Some(handshake) = self.half_open.take(address) {
                    self.establish(address, handshake, events, now);
                }
            }
            Ok(events) => {
                self.half_open.wind(address);
                self.say(address, events);
            }
            Err(fault) => {
                if let Some(handshake) = self.half_open.take(address) {
                    self.give_up(address, handshake, |asked| faults::of_clients_handshake(fault, asked));
                }
            }
        }
    }

    /// The peer has proven that it holds the key of its identity.
    fn establish(&mut self, address: SocketAddr, handshake: Handshake, events: Vec<Event>, now: Instant) {
        let Some(Asked { identity, known: true }) = handshake.asked.clone() else {
            return self.give_up(address, handshake, |_| Refusal::WrongKey);
        };
        match self.established.room(address, Some(&identity), &self.limits, now) {
            Room::None => return self.give_up(address, handshake, |_| Refusal::Full),
            Room::Instead(at) => self.close_for(at, Closing::Evicted),
            Room::Free => self.close_for(address, Closing::Replaced),
        }
        let peer = Peer::secured(address, identity.clone());
        self.established.insert(address, handshake.session, identity, handshake.random, now);
        self.counts.opened = self.counts.opened.saturating_add(1);
        self.outputs.push_back(Output::Opened { peer });
        self.talk(address, Ok(events), now);
    }

    /// Ends a handshake with an alert where the peer may learn something by it.
    fn give_up(
        &mut self,
        address: SocketAddr,
        handshake: Handshake,
        reason: impl FnOnce(Option<&Asked>) -> Refusal,
    ) {
        let reason = reason(handshake.asked.as_ref());
        if let Some(description) = faults::alert_for(&reason) {
            let bytes = handshake.session.fatal_alert(description);
            self.outputs.push_back(Output::Send { address, bytes });
        }
        self.refuse(address, handshake.asked.map(|asked| asked.identity), reason);
    }

    fn refuse(&mut self, address: SocketAddr, identity: Option<Identity>, reason: Refusal) {
        count(&mut self.counts.refused, reason.label());
        self.outputs.push_back(Output::Refused { address, identity, reason });
    }

    /// A record for a session that stands.
    fn hear(&mut self, address: SocketAddr, record: &[u8], now: Instant) {
        let Some(open) = self.established.get_mut(address) else { return };
        let result = open.session.receive(record, now);
        self.talk(address, result, now);
    }

    /// What has come of a step of a session that stands.
    fn talk(&mut self, address: SocketAddr, result: Result<Vec<Event>, Fault>, now: Instant) {
        let events = match result {
            Ok(events) => events,
            Err(fault) => return self.close_for(address, faults::of_session(fault)),
        };
        let is_over = events.contains(&Event::Goodbye);
        if let Some(open) = self.established.get_mut(address)
            && events.iter().any(|event| matches!(event, Event::Plain(_)))
        {
            open.hear(now);
        }
        self.established.wind(address, &self.limits);
        self.say(address, events);
        if is_over {
            self.close_for(address, Closing::ByPeer);
        }
    }

    /// Ends the session at `address`, if there is one.
    fn close_for(&mut self, address: SocketAddr, reason: Closing) {
        let Some(mut open) = self.established.take(address) else { return };
        // A peer that has begun anew no longer has the keys to read a good-bye.
        if matches!(reason, Closing::Here | Closing::Idle | Closing::Evicted) {
            let events = open.session.close();
            self.say(address, events);
        }
        count(&mut self.counts.closed, reason.label());
        self.outputs.push_back(Output::Closed { peer: Peer::secured(address, open.identity), reason });
    }

    /// Hands on what a session sends and what its peer says.
    fn say(&mut self, address: SocketAddr, events: Vec<Event>) {
        let identity = self.established.get(address).map(|open| open.identity.clone());
        for event in events {
            match (event, &identity) {
                (Event::Send(bytes), _) => self.outputs.push_back(Output::Send { address, bytes }),
                (Event::Plain(bytes), Some(identity)) => {
                    let peer = Peer::secured(address, identity.clone());
                    self.outputs.push_back(Output::Plain { peer, bytes });
                }
                _ => {}
            }
        }
    }

    fn drop_as(&mut self, label: &'static str) {
        count(&mut self.counts.dropped, label);
    }
}
