//! A UDP listener: a socket that is bound, or will be as soon as its port is free.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use coap_link::Udp;
use gateway_core::{AdapterId, Backoff};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

/// Pauses between two attempts to bind.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a datagram waits for room in the socket; then it is dropped, as a network may.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long nothing waits after that: a jammed link must not hold everything up.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Datagrams that have come.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    /// From whom, how long, and whether it came to a group.
    arrived: Vec<(SocketAddr, usize, bool)>,
}

impl Inbox {
    /// Hands them over, and is empty again.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(SocketAddr, &[u8], bool)) {
        let mut rest = &*self.bytes;
        for (from, length, multicast) in self.arrived.drain(..) {
            let (datagram, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            take(from, datagram, multicast);
            rest = others;
        }
        self.bytes.clear();
    }
}

#[derive(Debug)]
pub(crate) struct Door {
    adapter: AdapterId,
    address: SocketAddr,
    multicast: bool,
    state: State,
    backoff: Backoff,
    jammed_until: Instant,
    pub(crate) unsent: u64,
}

#[derive(Debug)]
enum State {
    Open(Box<Udp>),
    Closed { why: String, again_at: Instant },
}

impl Door {
    /// Tries to bind; where that fails it is tried again later.
    pub(crate) fn open(adapter: &AdapterId, address: SocketAddr, multicast: bool) -> Self {
        let now = Instant::now();
        let state = State::Closed { why: String::new(), again_at: now };
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut door = Self {
            adapter: adapter.clone(),
            address,
            multicast,
            state,
            backoff,
            jammed_until: now,
            unsent: 0,
        };
        door.bind();
        door
    }

    /// Why it is closed.
    pub(crate) fn problem(&self) -> Option<&str> {
        match &self.state {
            State::Open(_) => None,
            State::Closed { why, .. } => Some(why),
        }
    }

    fn bind(&mut self) {
        match Udp::bind(self.address) {
            Ok(mut udp) => {
                self.backoff.reset();
                info!(adapter = %self.adapter, "{}: listens on {}", self.adapter.kind(), self.address);
                if self.multicast && !self.address.ip().is_loopback() {
                    self.join(&mut udp);
                }
                self.state = State::Open(Box::new(udp));
            }
            Err(error) => self.close(&error),
        }
    }

    fn join(&self, udp: &mut Udp) {
        match udp.join_all_coap_nodes() {
            Ok(failed) => {
                for error in failed {
                    warn!(adapter = %self.adapter, "coap: {error}: {}", error.source);
                }
            }
            Err(error) => warn!(adapter = %self.adapter, "coap: no discovery by multicast: {error}"),
        }
    }

    fn close(&mut self, error: &io::Error) {
        let pause = self.backoff.next_wait(rand::random());
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => format!("{} is taken by another program", self.address),
            _ => format!("cannot listen on {}: {error}", self.address),
        };
        if self.problem() != Some(&*why) {
            warn!(adapter = %self.adapter, "{}: {why}; tried again until it works", self.adapter.kind());
        }
        self.state = State::Closed { why, again_at: Instant::now() + pause };
    }

    /// Waits for datagrams; returns too when it has opened or closed. May be cancelled: nothing is lost.
    pub(crate) async fn serve(&mut self, inbox: &mut Inbox) {
        match &mut self.state {
            State::Open(udp) => {
                let received = udp
                    .receive(|from, datagram, multicast| {
                        inbox.bytes.extend_from_slice(datagram);
                        inbox.arrived.push((from, datagram.len(), multicast));
                    })
                    .await;
                if let Err(error) = received {
                    self.close(&error);
                }
            }
            State::Closed { again_at, .. } => {
                sleep_until(*again_at).await;
                self.bind();
            }
        }
    }

    /// Sends a datagram, or drops it; says whether it has left.
    pub(crate) async fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let State::Open(udp) = &self.state else {
            self.unsent = self.unsent.saturating_add(1);
            return false;
        };
        let mut sent = udp.try_send(to, datagram);
        let full = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if full && Instant::now() >= self.jammed_until {
            match timeout(PATIENCE, udp.writable()).await {
                Ok(_) => sent = udp.try_send(to, datagram),
                Err(_) => self.jammed_until = Instant::now() + IMPATIENCE,
            }
        }
        if sent.is_err() {
            self.unsent = self.unsent.saturating_add(1);
        }
        sent.is_ok()
    }
}

/// [`Door::serve`], or for ever nothing where there is no door.
pub(crate) async fn serve(door: &mut Option<Door>, inbox: &mut Inbox) {
    match door {
        Some(door) => door.serve(inbox).await,
        None => pending().await,
    }
}
