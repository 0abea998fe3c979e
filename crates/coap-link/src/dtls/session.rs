//! One DTLS session: an instance of `dimpl`, with workarounds for its peculiarities.
//!
//! - Every call sets its clock first: it panics on a first packet before that.
//! - Every call catches panics: a panic on bytes from outside ends this session and nothing else.
//! - Its output is taken at once, so its queues stay empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls};

use super::hello::{COOKIE_LENGTH, Hello};
use super::{cookie_provider, record};

/// In bytes (RFC 5246, 6.2.1).
pub(super) const MAX_PLAINTEXT: usize = 1 << 14;
/// Most datagrams fit; for a longer one the buffer grows.
const INITIAL_BUFFER: usize = 2048;
/// `dimpl` outputs the plaintext of at most 30 datagrams with 8 records each, and sends at most 10 datagrams.
const MAX_EVENTS: usize = 512;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum SessionEvent {
    Send(Vec<u8>),
    Connected,
    Plain(Vec<u8>),
    /// The peer has closed the session.
    CloseNotify,
}

/// Why the session is over.
#[derive(Debug)]
pub(super) enum SessionError {
    Failed(dimpl::Error),
    /// A bug in `dimpl`.
    Panicked,
}

pub(super) struct Session {
    dtls: Dtls,
    /// The offset added to the sequence numbers of plaintext records.
    shift: u64,
    /// The sequence number of the next plaintext record.
    next_plain: u64,
    next_timeout: Instant,
}

impl Session {
    /// Starts a handshake as client.
    pub(super) fn connect(
        config: &Arc<Config>,
        now: Instant,
    ) -> Result<(Self, Vec<SessionEvent>), SessionError> {
        let mut session = Self::new(config, now)?;
        let events = session.call(now, |dtls| {
            dtls.set_active(true);
            dtls.handle_timeout(now)
        })?;
        Ok((session, events))
    }

    /// Starts a handshake as server with a client's `hello`, whose `cookie` is verified.
    ///
    /// `dimpl` counts messages and has to see the cookie exchange: it gets the same hello without a cookie first, its own
    /// HelloVerifyRequest is discarded, and then it accepts our cookie.
    pub(super) fn accept(
        config: &Arc<Config>,
        hello: &Hello<'_>,
        cookie: [u8; COOKIE_LENGTH],
        now: Instant,
    ) -> Result<(Self, Vec<SessionEvent>), SessionError> {
        let mut session = Self::new(config, now)?;
        session.call(now, |dtls| dtls.handle_packet(&hello.as_first_message()))?;
        // The first record of the answer repeats the sequence number of the hello (RFC 6347, 4.2.1); `dimpl` uses the next one.
        session.shift = hello.sequence().wrapping_sub(session.next_plain);
        let events = cookie_provider::with_accepted_cookie(cookie, || {
            session.call(now, |dtls| dtls.handle_packet(hello.record()))
        })?;
        Ok((session, events))
    }

    fn new(config: &Arc<Config>, now: Instant) -> Result<Self, SessionError> {
        let dtls = catch_panic(|| Ok(Dtls::new_12_psk(Arc::clone(config), now)))?;
        Ok(Self { dtls, shift: 0, next_plain: 0, next_timeout: now })
    }

    /// Handles a record that claims to come from the peer.
    pub(super) fn receive(&mut self, record: &[u8], now: Instant) -> Result<Vec<SessionEvent>, SessionError> {
        self.call(now, |dtls| dtls.handle_packet(record))
    }

    /// Advances the time: retransmits what was not answered.
    pub(super) fn timeout(&mut self, now: Instant) -> Result<Vec<SessionEvent>, SessionError> {
        self.call(now, |_| Ok(()))
    }

    /// Sends at most [`MAX_PLAINTEXT`] bytes over an established session.
    pub(super) fn send(&mut self, plaintext: &[u8]) -> Result<Vec<SessionEvent>, SessionError> {
        catch_panic(|| {
            self.dtls.send_application_data(plaintext)?;
            Ok(drain(&mut self.dtls))
        })
        .map(|drained| self.collect(drained))
    }

    /// Sends a close_notify, if the session is established.
    pub(super) fn close(&mut self) -> Vec<SessionEvent> {
        catch_panic(|| {
            self.dtls.close()?;
            Ok(drain(&mut self.dtls))
        })
        .map_or_else(|_| Vec::new(), |drained| self.collect(drained))
    }

    /// When to call [`Self::timeout`].
    pub(super) const fn next_timeout(&self) -> Instant {
        self.next_timeout
    }

    /// A fatal alert in plaintext, for a failed handshake.
    pub(super) fn fatal_alert(&self, description: u8) -> Vec<u8> {
        record::fatal_alert(self.next_plain, description)
    }

    fn call(
        &mut self,
        now: Instant,
        step: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>,
    ) -> Result<Vec<SessionEvent>, SessionError> {
        let drained = catch_panic(|| {
            self.dtls.handle_timeout(now)?;
            step(&mut self.dtls)?;
            Ok(drain(&mut self.dtls))
        })?;
        Ok(self.collect(drained))
    }

    fn collect(
        &mut self,
        (mut events, next_timeout): (Vec<SessionEvent>, Option<Instant>),
    ) -> Vec<SessionEvent> {
        self.next_timeout = next_timeout.unwrap_or(self.next_timeout);
        for event in &mut events {
            if let SessionEvent::Send(datagram) = event
                && let Some(last) = record::renumber(datagram, self.shift)
            {
                self.next_plain = last.wrapping_add(1);
            }
        }
        events
    }
}

/// Takes all output of `dimpl`.
fn drain(dtls: &mut Dtls) -> (Vec<SessionEvent>, Option<Instant>) {
    let mut events = Vec::new();
    let mut buffer = vec![0; INITIAL_BUFFER];
    for _ in 0..MAX_EVENTS {
        match dtls.poll_output(&mut buffer) {
            dimpl::Output::Packet(bytes) => events.push(SessionEvent::Send(bytes.to_vec())),
            dimpl::Output::Connected => events.push(SessionEvent::Connected),
            dimpl::Output::ApplicationData(bytes) => events.push(SessionEvent::Plain(bytes.to_vec())),
            dimpl::Output::CloseNotify => events.push(SessionEvent::CloseNotify),
            dimpl::Output::Timeout(at) => return (events, Some(at)),
            dimpl::Output::BufferTooSmall { needed } => buffer = vec![0; needed],
            // SRTP keys, which a client may request, and events of later versions.
            _ => {}
        }
    }
    (events, None)
}

/// Calls `dimpl` and turns a panic into an error.
///
/// `AssertUnwindSafe`: after a panic the session is dropped, and only the lock of the keys is shared.
pub(super) fn catch_panic<T>(call: impl FnOnce() -> Result<T, dimpl::Error>) -> Result<T, SessionError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(SessionError::Failed),
        Err(_) => Err(SessionError::Panicked),
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("dtls", &self.dtls)
            .field("wake", &self.next_timeout)
            .finish_non_exhaustive()
    }
}
