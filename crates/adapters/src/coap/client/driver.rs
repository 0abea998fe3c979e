//! The loop around it all: datagrams, names, sessions, time and commands go in; requests and uplinks come out.
//!
//! Nothing in it waits for a device: one that is silent, gone or hostile costs only itself.

mod reaching;
mod telling;

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
use super::sessions::{Said, Sessions};
use super::sockets::{Datagram, Sockets};
use super::{ClientSettings, Follow, Servers};
use crate::coap::Codecs;

/// How long after the stop the last uplinks wait for room in the pipeline.
const LAST_ROOM: Duration = Duration::from_secs(2);
/// Requests that may wait for one device.
const QUEUE_PER_DEVICE: usize = 64;

/// What an adapter's client side lives on.
pub(crate) struct Io<'a> {
    pub(crate) id: &'a AdapterId,
    pub(crate) uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    pub(crate) commands: &'a mut mpsc::Receiver<Command>,
    pub(crate) condition: &'a Condition,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stop: &'a CancellationToken,
}

/// For whom a device is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// By its place in the list.
    Observed(usize),
    Command(CommandId),
}

enum Event {
    Stop,
    Command(Command),
    Datagrams(io::Result<Vec<Datagram>>),
    Found(Found),
    Room(Result<(), mpsc::error::SendError<()>>),
    Timeout,
}

/// Until stopped.
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
        // Without anybody to talk to there are no sockets.
        let Some(Some(first)) = io.stop.run_until_cancelled(io.commands.recv()).await else { return Ok(()) };
        Some(first)
    } else {
        None
    };
    let sockets =
        Sockets::open().await.map_err(|error| failed(io.id, "no socket to ask devices with", &error))?;
    let mut driver = Driver::new(settings, codecs, max_size, io, sockets);
    first.into_iter().for_each(|command| driver.command(command));
    let result = driver.work().await;
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
    told: Status,
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
    /// Whose answer a token brings.
    asked: HashMap<Token, Who>,
    /// Who waits for a session with a device.
    waiting: HashMap<SocketAddr, Vec<Who>>,
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
            io.condition.part(&follow.name, telling::word(&Status::Starting), None);
            let observed = Observed::new(follow.url.clone(), follow.every, start);
            Following { follow, observed, told: Status::Starting }
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

    async fn work(&mut self) -> Result<(), AdapterError> {
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
                Event::Room(room) => {
                    room.map_err(|_| AdapterError {
                        adapter: self.io.id.clone(),
                        reason: "the pipeline has ended".to_owned(),
                    })?;
                }
                Event::Timeout => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        if let Some((id, url)) = self.commands.take(command) {
            self.lookups.begin(Who::Command(id), url);
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
            room = io.uplinks.reserve(), if !intake.is_empty() => {
                Event::Room(room.map(|room| room.send(intake.take())))
            }
            () = timeout => Event::Timeout,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let observed = self.following.iter().filter_map(|following| following.observed.next_deadline()).min();
        [self.engine.next_deadline(), self.sessions.next_deadline(), observed].into_iter().flatten().min()
    }

    /// Does what is due, and all that follows from it.
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
                self.lookups.begin(Who::Observed(index), following.observed.url().clone());
            }
        }
        self.pump(now);
    }

    fn pump(&mut self, now: Instant) {
        loop {
            if let Some(said) = self.sessions.poll() {
                self.session_says(said, now);
            } else if let Some(output) = self.engine.poll() {
                self.engine_says(output, now);
            } else {
                return;
            }
        }
    }

    /// A device may talk over DTLS and in the clear from one port: the first byte tells which (RFC 7983, 7).
    fn arrived(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        if bytes.first().is_some_and(|first| (20..64).contains(first)) {
            self.sessions.receive(from, bytes, now);
        } else {
            self.engine.receive(&Peer::unsecured(from), bytes, now);
        }
        self.pump(now);
    }

    fn session_says(&mut self, said: Said, now: Instant) {
        match said {
            Said::Send { address, bytes } => self.sockets.send(address, &bytes),
            Said::Plain { peer, bytes } => self.engine.receive(&peer, &bytes, now),
            Said::Opened { peer } => {
                for who in self.waiting.remove(&peer.address).unwrap_or_default() {
                    self.reached(who, &peer, now);
                }
            }
            Said::Over { peer, reason } => {
                debug!(adapter = %self.io.id, %peer, "coap: {reason}");
                self.engine.closed(&peer, now);
                for who in self.waiting.remove(&peer.address).unwrap_or_default() {
                    self.unreachable(who, reason.clone(), now);
                }
            }
        }
    }

    fn engine_says(&mut self, output: Output, now: Instant) {
        match output {
            Output::Send { peer, bytes } if peer.is_secured() => self.sessions.send(&peer, &bytes, now),
            Output::Send { peer, bytes } => self.sockets.send(peer.address, &bytes),
            Output::Response { token, peer, result, observing } => {
                if result == Err(RequestFailure::TimedOut) && peer.is_secured() {
                    // A device that restarted does not know the session any more: the next attempt begins another.
                    self.sessions.close(peer.address);
                }
                self.answered(token, result, observing, now);
            }
            Output::Notification { token, response, .. } => {
                if let Some(Who::Observed(index)) = self.asked.get(&token).copied() {
                    self.notified(index, token, response, now);
                }
            }
            // Here nobody is served.
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
        let Some(who) = self.asked.get(&token).copied() else { return };
        if !observing {
            self.asked.remove(&token);
        }
        match (who, result) {
            (Who::Command(id), result) => self.commands.answered(id, result),
            (Who::Observed(_), Err(failure)) => self.unreachable(who, failure.to_string(), now),
            (Who::Observed(index), Ok(response)) => {
                let Some(following) = self.following.get_mut(index) else { return };
                let news = following.observed.answered(response, observing, now, rand::random());
                self.tell(who);
                self.take_in(index, news);
            }
        }
    }

    fn notified(&mut self, index: usize, token: Token, response: Response, now: Instant) {
        let Some(following) = self.following.get_mut(index) else { return };
        let news = following.observed.notified(response, &mut self.engine, now, rand::random());
        if following.observed.token() != Some(token) {
            self.asked.remove(&token);
        }
        self.tell(Who::Observed(index));
        self.take_in(index, news);
    }

    /// Says good-bye to the devices and hands over what was heard.
    async fn end(mut self) {
        let now = now();
        self.commands.give_up();
        for following in std::mem::take(&mut self.following) {
            following.observed.stop(&mut self.engine, now);
        }
        self.pump(now);
        self.sessions.close_all();
        self.pump(now);
        let (last, mut lost) = (self.intake.take(), self.intake.lost());
        if !last.is_empty() {
            let count = u32::try_from(last.len()).unwrap_or(u32::MAX);
            match tokio::time::timeout(LAST_ROOM, self.io.uplinks.send(last)).await {
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
