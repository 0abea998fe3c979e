//! The adapter: listens, admits connections, and reports its state.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, Command, CommandError};
use gateway_core::{AdapterId, Backoff, Condition, Throttle, guarded};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::connection::{Context, End, serve};
use super::peers::{Admission, Admitted, ConnectionId, Peers};
use crate::LOG_PERIOD;
use crate::lines::{LineCounts, LineReader, LineSource};

/// The pauses between attempts to listen.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the figures in `health` are updated.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// TCP keep-alive: when probes of a silent peer start, and their interval. A peer that lost its power closes no connection.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TRIES: u32 = 3;

/// The settings of `[adapters.tcp.<name>]`.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub lines: LineSource,
    pub max_connections: usize,
    /// The longest time without a line.
    pub idle: Duration,
    /// The most lines per second from one address.
    pub max_rate: u32,
}

/// The devices of `[adapters.tcp.<name>]`.
pub struct TcpAdapter {
    settings: Settings,
}

impl TcpAdapter {
    /// Makes an adapter; it listens when it runs.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Tries to listen until it succeeds. `None` if the gateway stops.
    async fn listen(&self, context: &mut AdapterContext) -> Option<TcpListener> {
        let (id, address) = (self.id(), self.settings.listen);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last = String::new();
        loop {
            let why = match TcpListener::bind(address).await {
                Ok(listener) => {
                    info!(adapter = %id, "tcp: listens on {address}");
                    context.condition.up();
                    return Some(listener);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    format!("{address} is taken by another program")
                }
                Err(error) => format!("cannot listen on {address}: {error}"),
            };
            context.condition.with_problems(&why);
            if last != why {
                warn!(adapter = %id, "tcp: {why}; tried again until it works");
                last = why;
            }
            let over = sleep(backoff.next_wait(rand::random()));
            tokio::pin!(over);
            loop {
                tokio::select! {
                    () = context.stop.cancelled() => return None,
                    () = &mut over => break,
                    Some(command) = context.commands.recv() => refuse(id, command),
                }
            }
        }
    }
}

#[async_trait]
impl Adapter for TcpAdapter {
    fn id(&self) -> &AdapterId {
        &self.settings.lines.adapter
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let Some(listener) = self.listen(context).await else { return Ok(()) };
        let AdapterContext { uplinks, commands, condition, clock, stop } = context;
        let Settings { lines, max_connections, max_rate, idle, .. } = &self.settings;
        let mut server = Server {
            context: Arc::new(Context {
                id: lines.adapter.clone(),
                uplinks: uplinks.clone(),
                clock: Arc::clone(clock),
                // A child token: if the pipeline has ended, all connections end.
                stop: stop.child_token(),
                idle: *idle,
            }),
            source: Arc::new(lines.clone()),
            lines: Arc::default(),
            peers: Peers::new(*max_connections, *max_rate),
            tasks: JoinSet::new(),
            waiting: None,
            counts: Counts::default(),
            refusals: Throttle::new(LOG_PERIOD),
        };
        server.run(&listener, commands, condition).await
    }
}

fn refuse(adapter: &AdapterId, command: Command) {
    let reason = "devices that send lines over TCP take no commands".to_owned();
    // Fails if the sender no longer waits.
    let _ = command.done.send(Err(CommandError::Refused { adapter: adapter.clone(), reason }));
}

/// The counters of connections since the start.
#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    refused: u64,
    idle: u64,
    gave_way: u64,
}

/// The state of the running adapter.
struct Server {
    context: Arc<Context>,
    source: Arc<LineSource>,
    lines: Arc<LineCounts>,
    peers: Peers,
    tasks: JoinSet<(ConnectionId, IpAddr, End)>,
    /// A new connection that waits for another one to end. Meanwhile no other connection is accepted.
    waiting: Option<(TcpStream, IpAddr)>,
    counts: Counts,
    refusals: Throttle,
}

impl Server {
    async fn run(
        &mut self,
        listener: &TcpListener,
        commands: &mut mpsc::Receiver<Command>,
        condition: &Condition,
    ) -> Result<(), AdapterError> {
        let stop = self.context.stop.clone();
        let mut figures = interval(FIGURES_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept(), if self.waiting.is_none() => match accepted {
                    Ok((stream, peer)) => {
                        condition.with_problems("");
                        self.receive(stream, peer.ip().to_canonical());
                    }
                    Err(error) => self.cannot_accept(&error, condition).await,
                },
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.joined(&ended),
                Some(command) = commands.recv() => refuse(&self.context.id, command),
                _ = figures.tick() => condition.show(self.figures()),
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.joined(&ended);
        }
        match self.context.uplinks.is_closed() {
            false => Ok(()),
            true => Err(AdapterError {
                adapter: self.context.id.clone(),
                reason: "the pipeline has ended".to_owned(),
            }),
        }
    }

    /// Admits or refuses a new connection, or keeps it until another one has ended.
    fn receive(&mut self, stream: TcpStream, address: IpAddr) {
        let close = CancellationToken::new();
        match self.peers.admit(address, close, Instant::now()) {
            Admission::Admitted(admitted) => self.start(stream, address, admitted),
            Admission::Wait => self.waiting = Some((stream, address)),
            Admission::Refused => {
                self.counts.refused = self.counts.refused.saturating_add(1);
                if let Some(passed_over) = self.refusals.allow(Instant::now().into_std()) {
                    let connections = self.peers.len();
                    warn!(
                        adapter = %self.context.id, passed_over,
                        "tcp: connection of {address} closed: there are {connections} already (`max_connections`)"
                    );
                }
            }
        }
    }

    fn start(&mut self, stream: TcpStream, address: IpAddr, admitted: Admitted) {
        self.counts.accepted = self.counts.accepted.saturating_add(1);
        if let Err(error) = keep_alive(&stream) {
            debug!(adapter = %self.context.id, "tcp: no keep-alive for {address}: {error}");
        }
        let (source, counts) = (Arc::clone(&self.source), Arc::clone(&self.lines));
        let reader = LineReader::new(source, counts, &address.to_string());
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            let end = guarded(serve(&context, stream, reader, &admitted)).await.unwrap_or_else(|panic| {
                error!(adapter = %context.id, "tcp: a bug stopped a connection ({panic}); please report it");
                End::Broken
            });
            (admitted.id, address, end)
        });
    }

    fn joined(&mut self, ended: &Result<(ConnectionId, IpAddr, End), JoinError>) {
        // No task is aborted, and a panic ends as a broken connection.
        if let Ok((id, address, end)) = ended {
            self.ended(*id, *address, end);
        }
    }

    fn ended(&mut self, id: ConnectionId, address: IpAddr, end: &End) {
        debug!(adapter = %self.context.id, "tcp: connection of {address} has ended: {end:?}");
        self.peers.remove(id, Instant::now());
        match end {
            End::Idle => self.counts.idle = self.counts.idle.saturating_add(1),
            End::GaveWay => self.counts.gave_way = self.counts.gave_way.saturating_add(1),
            End::PipelineEnded => self.context.stop.cancel(),
            End::Closed | End::Broken | End::Stopped => {}
        }
        if let Some((stream, address)) = self.waiting.take() {
            self.receive(stream, address);
        }
    }

    /// Pauses after a failed accept, mostly for a lack of file descriptors; connections that end free some.
    async fn cannot_accept(&mut self, error: &io::Error, condition: &Condition) {
        condition.with_problems(&format!("cannot accept connections: {error}"));
        if let Some(passed_over) = self.refusals.allow(Instant::now().into_std()) {
            warn!(adapter = %self.context.id, passed_over, "tcp: cannot accept connections: {error}");
        }
        tokio::select! {
            () = sleep(FIRST_PAUSE) => {}
            () = self.context.stop.cancelled() => {}
        }
    }

    fn figures(&self) -> BTreeMap<String, u64> {
        let Counts { accepted, refused, idle, gave_way } = self.counts;
        let connections = u64::try_from(self.peers.len()).unwrap_or(u64::MAX);
        let own = [
            ("connections", connections),
            ("connections_accepted", accepted),
            ("connections_refused", refused),
            ("connections_idle", idle),
            ("connections_gave_way", gave_way),
        ];
        let all = own.into_iter().chain(self.lines.figures());
        all.map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let settings = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TRIES);
    SockRef::from(stream).set_tcp_keepalive(&settings)
}
