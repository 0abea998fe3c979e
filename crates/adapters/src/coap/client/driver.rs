//! The loop of the CoAP client: takes datagrams, look-ups, sessions, timeouts and commands; sends requests and uplinks.
//!
//! The loop never waits for one device, so a silent or hostile device does not delay the others.

mod connecting;
mod reporting;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use coap_link::{Code, Engine, Output, Peer, RequestFailure, Response, Settings, Token};
use gateway_core::ports::{AdapterError, Clock, Command};
use gateway_core::{AdapterId, Condition, Uplink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::commands::{CommandId, Commands};
use super::intake::Intake;
use super::lookup::{Found, Lookups};
use super::observed::{Observed, Status};
use super::sessions::{SessionEvent, Sessions};
use super::sockets::{Datagram, Sockets};
use super::{ClientSettings, Follow, Servers};
use crate::coap::Codecs;

/// How long after the stop the last uplinks wait for the pipeline.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that may wait for one device.
const QUEUE_PER_DEVICE: usize = 64;

/// The channels and handles of the client.
pub(crate) struct Io<'a> {
    pub(crate) id: &'a AdapterId,
    pub(crate) uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    pub(crate) commands: &'a mut mpsc::Receiver<Command>,
    pub(crate) condition: &'a Condition,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stop: &'a CancellationToken,
}

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requester {
    /// The index in the list of observed resources.
    Observed(usize),
    Command(CommandId),
}

enum Event {
    Stop,
    Command(Command),
    Datagrams(io::Result<Vec<Datagram>>),
    Found(Found),
    Permit(Result<(), mpsc::error::SendError<()>>),
    Timeout,
}

/// Runs until stopped.
///
/// # Errors
/// There are no sockets, they fail, or the pipeline has ended.
pub(crate) async fn run(
    settings: &ClientSettings,
    codecs: Codecs,
    max_size: usize,
    io: Io<'_>,
) -> Result<(), AdapterError> {
    let first = if settings.follow.is_empty() {
        // The sockets are opened with the first command.
        let Some(Some(first)) = io.stop.run_until_cancelled(io.commands.recv()).await else { return Ok(()) };
        Some(first)
    } else {
        None
    };
    let sockets =
        Sockets::open().await.map_err(|error| failed(io.id, "no socket to ask devices with", &error))?;
    let mut driver = Driver::new(settings, codecs, max_size, io, sockets);
    first.into_iter().for_each(|command| driver.command(command));
    let result = driver.run().await;
    driver.end().await;
    result
}

fn failed(id: &AdapterId, what: &str, error: &io::Error) -> AdapterError {
    AdapterError { adapter: id.clone(), reason: format!("{what}: {error}") }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Following<'a> {
    follow: &'a Follow,
    observed: Observed,
    reported: Status,
}

struct Driver<'a> {
    io: Io<'a>,
    servers: &'a Servers,
    sockets: Sockets,
    sessions: Sessions,
    engine: Engine,
    lookups: Lookups,
    following: Vec<Following<'a>>,
    commands: Commands,
    intake: Intake,
    /// The requester of each token.
    asked: HashMap<Token, Requester>,
    /// The requesters that wait for a session with a device.
    waiting: HashMap<SocketAddr, Vec<Requester>>,
}

impl<'a> Driver<'a> {
    fn new(
        settings: &'a ClientSettings,
        codecs: Codecs,
        max_size: usize,
        io: Io<'a>,
        sockets: Sockets,
    ) -> Self {
        let engine = Engine::new(Settings {
            seed: rand::random(),
            response_body: max_size,
            queue_per_peer: QUEUE_PER_DEVICE,
            ..Settings::default()
        });
        let start = now();
        let following = settings.follow.iter().map(|follow| {
            io.condition.part(&follow.name, reporting::status_name(&Status::Starting), None);
            let observed = Observed::new(follow.url.clone(), follow.every, start);
            Following { follow, observed, reported: Status::Starting }
        });
        Self {
            servers: &settings.servers,
            sockets,
            sessions: Sessions::default(),
            engine,
            lookups: Lookups::new(),
            following: following.collect(),
            commands: Commands::new(io.id.clone()),
            intake: Intake::new(io.id.clone(), codecs),
            asked: HashMap::new(),
            waiting: HashMap::new(),
            io,
        }
    }

    async fn run(&mut self) -> Result<(), AdapterError> {
        loop {
            self.advance(now());
            match self.next().await {
                Event::Stop => return Ok(()),
                Event::Command(command) => self.command(command),
                Event::Datagrams(Ok(datagrams)) => {
                    for (from, bytes) in datagrams {
                        self.arrived(from, &bytes, now());
                    }
                }
                Event::Datagrams(Err(error)) => {
                    return Err(failed(self.io.id, "cannot receive from devices", &error));
                }
                Event::Found(found) => self.found(found, now()),
                Event::Permit(permit) => {
                    permit.map_err(|_| AdapterError {
                        adapter: self.io.id.clone(),
                        reason: "the pipeline has ended".to_owned(),
                    })?;
                }
                Event::Timeout => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        if let Some((id, url)) = self.commands.accept(command) {
            self.lookups.begin(Requester::Command(id), url);
        }
    }

    async fn next(&mut self) -> Event {
        let deadline = self.next_deadline().map(tokio::time::Instant::from_std);
        let timeout = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let Self { io, sockets, lookups, intake, .. } = self;
        tokio::select! {
            () = io.stop.cancelled() => Event::Stop,
            command = io.commands.recv() => command.map_or(Event::Stop, Event::Command),
            datagrams = sockets.receive() => Event::Datagrams(datagrams),
            found = lookups.next() => Event::Found(found),
            permit = io.uplinks.reserve(), if !intake.is_empty() => {
                Event::Permit(permit.map(|permit| permit.send(intake.take())))
            }
            () = timeout => Event::Timeout,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let observed = self.following.iter().filter_map(|following| following.observed.next_deadline()).min();
        [self.engine.next_deadline(), self.sessions.next_deadline(), observed].into_iter().flatten().min()
    }

    /// Handles timeouts and their consequences.
    fn advance(&mut self, now: Instant) {
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.timeout(now);
        }
        if self.sessions.next_deadline().is_some_and(|at| at <= now) {
            let Self { sessions, following, commands, waiting, .. } = self;
            sessions.timeout(now, |address| {
                let observed = following.iter().filter_map(|following| following.observed.peer());
                let mut peers = observed.chain(commands.peers());
                waiting.contains_key(&address) || peers.any(|peer| peer.address == address)
            });
        }
        for (index, following) in self.following.iter_mut().enumerate() {
            if following.observed.due(now) {
                self.lookups.begin(Requester::Observed(index), following.observed.url().clone());
            }
        }
        self.pump(now);
    }

    fn pump(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.sessions.poll() {
                self.handle_session_event(event, now);
            } else if let Some(output) = self.engine.poll() {
                self.handle_output(output, now);
            } else {
                return;
            }
        }
    }

    /// A device may use DTLS and plain CoAP from one port: the first byte decides (RFC 7983, 7).
    fn arrived(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        if bytes.first().is_some_and(|first| (20..64).contains(first)) {
            self.sessions.receive(from, bytes, now);
        } else {
            self.engine.receive(&Peer::unsecured(from), bytes, now);
        }
        self.pump(now);
    }

    fn handle_session_event(&mut self, event: SessionEvent, now: Instant) {
        match event {
            SessionEvent::Send { address, bytes } => self.sockets.send(address, &bytes),
            SessionEvent::Plain { peer, bytes } => self.engine.receive(&peer, &bytes, now),
            SessionEvent::Opened { peer } => {
                for requester in self.waiting.remove(&peer.address).unwrap_or_default() {
                    self.connected(requester, &peer, now);
                }
            }
            SessionEvent::Closed { peer, reason } => {
                debug!(adapter = %self.io.id, %peer, "coap: {reason}");
                self.engine.closed(&peer, now);
                for requester in self.waiting.remove(&peer.address).unwrap_or_default() {
                    self.unreachable(requester, reason.clone(), now);
                }
            }
        }
    }

    fn handle_output(&mut self, output: Output, now: Instant) {
        match output {
            Output::Send { peer, bytes } if peer.is_secured() => self.sessions.send(&peer, &bytes, now),
            Output::Send { peer, bytes } => self.sockets.send(peer.address, &bytes),
            Output::Response { token, peer, result, observing } => {
                if result == Err(RequestFailure::TimedOut) && peer.is_secured() {
                    // A restarted device has lost the session: the next attempt opens a new one.
                    self.sessions.close(peer.address);
                }
                self.answered(token, result, observing, now);
            }
            Output::Notification { token, response, .. } => {
                if let Some(Requester::Observed(index)) = self.asked.get(&token).copied() {
                    self.notified(index, token, response, now);
                }
            }
            // The client serves no resources.
            Output::Request { id, .. } => self.engine.respond(id, Response::new(Code::NOT_FOUND), now),
            Output::ObserverGone { .. } => {}
        }
    }

    fn answered(
        &mut self,
        token: Token,
        result: Result<Response, RequestFailure>,
        observing: bool,
        now: Instant,
    ) {
        let Some(requester) = self.asked.get(&token).copied() else { return };
        if !observing {
            self.asked.remove(&token);
        }
        match (requester, result) {
            (Requester::Command(id), result) => self.commands.answered(id, result),
            (Requester::Observed(_), Err(failure)) => self.unreachable(requester, failure.to_string(), now),
            (Requester::Observed(index), Ok(response)) => {
                let Some(following) = self.following.get_mut(index) else { return };
                let notification = following.observed.answered(response, observing, now, rand::random());
                self.report(requester);
                self.enqueue(index, notification);
            }
        }
    }

    fn notified(&mut self, index: usize, token: Token, response: Response, now: Instant) {
        let Some(following) = self.following.get_mut(index) else { return };
        let notification = following.observed.notified(response, &mut self.engine, now, rand::random());
        if following.observed.token() != Some(token) {
            self.asked.remove(&token);
        }
        self.report(Requester::Observed(index));
        self.enqueue(index, notification);
    }

    /// Cancels observations, closes sessions and passes the last uplinks on.
    async fn end(mut self) {
        let now = now();
        self.commands.cancel_all();
        for following in std::mem::take(&mut self.following) {
            following.observed.stop(&mut self.engine, now);
        }
        self.pump(now);
        self.sessions.close_all();
        self.pump(now);
        let (last, mut lost) = (self.intake.take(), self.intake.lost());
        if !last.is_empty() {
            let count = u32::try_from(last.len()).unwrap_or(u32::MAX);
            match tokio::time::timeout(DRAIN_TIMEOUT, self.io.uplinks.send(last)).await {
                Ok(Ok(())) => {}
                _ => lost = lost.saturating_add(count),
            }
        }
        if lost > 0 {
            warn!(adapter = %self.io.id, lost, "coap: stopped while the pipeline was behind: these values are lost");
        }
    }
}

#[cfg(test)]
mod tests;
