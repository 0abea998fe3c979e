//! One DTLS session: an instance of `dimpl`, with its odd sides kept in here.
//!
//! - Every call refreshes its clock first: it panics on a first packet before that.
//! - Every call is contained: a panic on bytes from outside ends this session and nothing else.
//! - What it wants to send is taken from it at once, so its queues stay empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls};

use super::hello::{COOKIE, Hello};
use super::{record, vouch};

/// The most plaintext in one record (RFC 5246, 6.2.1), in bytes.
pub(super) const LONGEST_PLAINTEXT: usize = 1 << 14;
/// Most datagrams fit; a longer one makes the buffer grow.
const USUAL_DATAGRAM: usize = 2048;
/// `dimpl` has at most 30 datagrams to hand out plaintext from, of 8 records each, and 10 to send.
const MOST_EVENTS: usize = 512;

/// What a session has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Send this.
    Send(Vec<u8>),
    /// The handshake is done.
    Connected,
    /// The peer said this.
    Plain(Vec<u8>),
    /// The peer said good-bye.
    Goodbye,
}

/// The session is over.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its handshake or its peer failed.
    Failed(dimpl::Error),
    /// A bug of `dimpl`.
    Panicked,
}

/// An instance of `dimpl`.
pub(super) struct Session {
    dtls: Dtls,
    /// What is added to the sequence numbers of records in the clear.
    shift: u64,
    /// The number of the next record in the clear.
    next_plain: u64,
    /// When `dimpl` wants to be called.
    wake: Instant,
}

impl Session {
    /// Our side of a handshake that we begin.
    pub(super) fn connect(config: &Arc<Config>, now: Instant) -> Result<(Self, Vec<Event>), Fault> {
        let mut session = Self::new(config, now)?;
        let events = session.call(now, |dtls| {
            dtls.set_active(true);
            dtls.handle_timeout(now)
        })?;
        Ok((session, events))
    }

    /// Our side of a handshake that a client begins with `hello`, whose `cookie` has been checked.
    ///
    /// `dimpl` counts messages and has to see the exchange that went before without it: it gets the same hello as
    /// first message, its own request for a cookie is thrown away, and then it accepts ours.
    pub(super) fn accept(
        config: &Arc<Config>,
        hello: &Hello<'_>,
        cookie: [u8; COOKIE],
        now: Instant,
    ) -> Result<(Self, Vec<Event>), Fault> {
        let mut session = Self::new(config, now)?;
        session.call(now, |dtls| dtls.handle_packet(&hello.as_first_message()))?;
        // The answer's first record repeats the hello's number (RFC 6347, 4.2.1); for `dimpl` it is the next one.
        session.shift = hello.sequence().wrapping_sub(session.next_plain);
        let events =
            vouch::vouching_for(cookie, || session.call(now, |dtls| dtls.handle_packet(hello.record())))?;
        Ok((session, events))
    }

    fn new(config: &Arc<Config>, now: Instant) -> Result<Self, Fault> {
        let dtls = contain(|| Ok(Dtls::new_12_psk(Arc::clone(config), now)))?;
        Ok(Self { dtls, shift: 0, next_plain: 0, wake: now })
    }

    /// Takes a record of the peer, or one that claims to be.
    pub(super) fn receive(&mut self, record: &[u8], now: Instant) -> Result<Vec<Event>, Fault> {
        self.call(now, |dtls| dtls.handle_packet(record))
    }

    /// Lets the time pass: sends again what was not answered.
    pub(super) fn timeout(&mut self, now: Instant) -> Result<Vec<Event>, Fault> {
        self.call(now, |_| Ok(()))
    }

    /// Sends at most [`LONGEST_PLAINTEXT`] bytes. Only for a session that stands.
    pub(super) fn send(&mut self, plaintext: &[u8]) -> Result<Vec<Event>, Fault> {
        contain(|| {
            self.dtls.send_application_data(plaintext)?;
            Ok(drain(&mut self.dtls))
        })
        .map(|drained| self.settle(drained))
    }

    /// Says good-bye, if the session stands.
    pub(super) fn close(&mut self) -> Vec<Event> {
        contain(|| {
            self.dtls.close()?;
            Ok(drain(&mut self.dtls))
        })
        .map_or_else(|_| Vec::new(), |drained| self.settle(drained))
    }

    /// When [`Self::timeout`] is due.
    pub(super) const fn wake(&self) -> Instant {
        self.wake
    }

    /// A fatal alert in the clear, for a handshake that has failed.
    pub(super) fn fatal_alert(&self, description: u8) -> Vec<u8> {
        record::fatal_alert(self.next_plain, description)
    }

    fn call(
        &mut self,
        now: Instant,
        step: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>,
    ) -> Result<Vec<Event>, Fault> {
        let drained = contain(|| {
            self.dtls.handle_timeout(now)?;
            step(&mut self.dtls)?;
            Ok(drain(&mut self.dtls))
        })?;
        Ok(self.settle(drained))
    }

    fn settle(&mut self, (mut events, wake): (Vec<Event>, Option<Instant>)) -> Vec<Event> {
        self.wake = wake.unwrap_or(self.wake);
        for event in &mut events {
            if let Event::Send(datagram) = event
                && let Some(last) = record::renumber(datagram, self.shift)
            {
                self.next_plain = last.wrapping_add(1);
            }
        }
        events
    }
}

/// Takes everything out of `dimpl`.
fn drain(dtls: &mut Dtls) -> (Vec<Event>, Option<Instant>) {
    let mut events = Vec::new();
    let mut buffer = vec![0; USUAL_DATAGRAM];
    for _ in 0..MOST_EVENTS {
        match dtls.poll_output(&mut buffer) {
            dimpl::Output::Packet(bytes) => events.push(Event::Send(bytes.to_vec())),
            dimpl::Output::Connected => events.push(Event::Connected),
            dimpl::Output::ApplicationData(bytes) => events.push(Event::Plain(bytes.to_vec())),
            dimpl::Output::CloseNotify => events.push(Event::Goodbye),
            dimpl::Output::Timeout(at) => return (events, Some(at)),
            dimpl::Output::BufferTooSmall { needed } => buffer = vec![0; needed],
            // Keys for SRTP, which a client may ask for, and whatever later versions add.
            _ => {}
        }
    }
    (events, None)
}

/// Runs a call into `dimpl`; a panic in it is an end of the session like any other.
///
/// `AssertUnwindSafe`: after a panic the session is dropped unseen, and nothing else is shared but the keys' lock.
pub(super) fn contain<T>(call: impl FnOnce() -> Result<T, dimpl::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Fault::Failed),
        Err(_) => Err(Fault::Panicked),
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("dtls", &self.dtls).field("wake", &self.wake).finish_non_exhaustive()
    }
}
