//! The adapter: opens the port, reads lines until the port fails, and opens it again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, Clock, Command};
use gateway_core::{AdapterId, Backoff, Condition, Uplink};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::commands;
use super::garble::Garble;
use super::port::{Port, explain};
use crate::lines::{LineCounts, LineReader, LineSource, SubmitResult, submit};

/// The pauses between attempts to open the port; short, so that a reconnected cable works at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the port is checked, and the figures in `health` are updated.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes read at once.
const CHUNK: usize = 4 << 10;

/// The settings of `[adapters.serial.<name>]`.
#[derive(Debug, Clone)]
pub struct Settings {
    pub port: PathBuf,
    /// Bits a second.
    pub baud: u32,
    pub lines: LineSource,
    /// The device of lines that name no device.
    pub device: String,
}

/// The devices of `[adapters.serial.<name>]`.
pub struct SerialAdapter {
    settings: Settings,
}

impl SerialAdapter {
    /// Makes an adapter; it opens the port when it runs.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Adapter for SerialAdapter {
    fn id(&self) -> &AdapterId {
        &self.settings.lines.adapter
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let AdapterContext { uplinks, commands, condition, clock, stop } = context;
        let mut driver = Driver {
            id: &self.settings.lines.adapter,
            settings: &self.settings,
            source: Arc::new(self.settings.lines.clone()),
            counts: Arc::default(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            problem: String::new(),
            uplinks,
            condition,
            clock: &**clock,
            stop,
        };
        driver.run(commands).await
    }
}

/// The state of the running adapter.
struct Driver<'a> {
    id: &'a AdapterId,
    settings: &'a Settings,
    source: Arc<LineSource>,
    counts: Arc<LineCounts>,
    backoff: Backoff,
    /// The last reported problem; empty if there is none.
    problem: String,
    uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    condition: &'a Condition,
    clock: &'a dyn Clock,
    stop: &'a CancellationToken,
}

/// Why reading the port has ended.
enum End {
    Stopped,
    PipelineEnded,
    Gone(String),
}

impl Driver<'_> {
    async fn run(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), AdapterError> {
        loop {
            let problem = match self.use_port(commands).await {
                End::Stopped => return Ok(()),
                End::PipelineEnded => return Err(self.pipeline_ended()),
                End::Gone(problem) => problem,
            };
            self.report(problem);
            if !self.pause(commands).await {
                return Ok(());
            }
        }
    }

    fn pipeline_ended(&self) -> AdapterError {
        AdapterError { adapter: self.id.clone(), reason: "the pipeline has ended".to_owned() }
    }

    /// Opens the port, and reads and writes until it fails.
    async fn use_port(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let Settings { port: path, baud, device, .. } = self.settings;
        let port = match Port::open(path, *baud) {
            Ok(port) => port,
            Err(error) => return End::Gone(explain(path, &error)),
        };
        info!(adapter = %self.id, "serial: {} is open at {baud} baud", path.display());
        self.report(String::new());
        let mut reader = LineReader::new(Arc::clone(&self.source), Arc::clone(&self.counts), device);
        let id = self.id;
        let end = tokio::select! {
            end = self.read(&port, &mut reader) => end,
            () = commands::run(id, &port, commands) => End::Stopped,
        };
        let rest = reader.end(self.clock.now());
        match submit(self.id, self.uplinks, rest, self.stop).await {
            SubmitResult::PipelineEnded => End::PipelineEnded,
            SubmitResult::Done | SubmitResult::Stopped => end,
        }
    }

    async fn read(&mut self, port: &Port, reader: &mut LineReader) -> End {
        let mut chunk = [0; CHUNK];
        let mut garble = Garble::default();
        let mut look = interval(LOOK_EVERY);
        let gone = |why: String| End::Gone(format!("{}: {why}", self.settings.port.display()));
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                read = port.read(&mut chunk) => match read {
                    Ok(0) => return gone("the device was unplugged".to_owned()),
                    Ok(count) => {
                        self.backoff.reset();
                        let bytes = chunk.get(..count).unwrap_or_default();
                        let before = reader.accepted();
                        match self.take(bytes, reader).await {
                            SubmitResult::Done => {}
                            SubmitResult::Stopped => return End::Stopped,
                            SubmitResult::PipelineEnded => return End::PipelineEnded,
                        }
                        garble.note(bytes, reader.accepted() > before, Instant::now());
                    }
                    Err(error) => return gone(format!("the device was unplugged or has failed: {error}")),
                },
                _ = look.tick() => {
                    if port.is_replaced() {
                        return gone("the device was unplugged".to_owned());
                    }
                    self.check_port(&garble);
                }
            }
        }
    }

    /// Passes the lines in `bytes` to the pipeline; waits while its queue is full.
    async fn take(&self, mut bytes: &[u8], reader: &mut LineReader) -> SubmitResult {
        let at = self.clock.now();
        while !bytes.is_empty() {
            let batch = reader.batch(&mut bytes, at);
            match submit(self.id, self.uplinks, batch, self.stop).await {
                SubmitResult::Done => {}
                no => return no,
            }
        }
        SubmitResult::Done
    }

    fn check_port(&mut self, garble: &Garble) {
        let Settings { port, baud, .. } = self.settings;
        let figures = self.counts.figures().map(|(name, count)| (name.to_owned(), count));
        self.condition.show(BTreeMap::from(figures));
        self.report(match garble.is_likely(Instant::now()) {
            true => format!(
                "{}: the received data is not text; the baud rate may be wrong: check `baud`, which is {baud}",
                port.display()
            ),
            false => String::new(),
        });
    }

    /// Reports a problem to `health` and, if it is new, to the log; empty: no problem.
    fn report(&mut self, problem: String) {
        self.condition.with_problems(&problem);
        if self.problem != problem {
            if !problem.is_empty() {
                warn!(adapter = %self.id, "serial: {problem}");
            }
            self.problem = problem;
        }
    }

    /// Waits before the next attempt. Returns false if the gateway stops.
    async fn pause(&mut self, commands: &mut mpsc::Receiver<Command>) -> bool {
        let over = sleep(self.backoff.next_wait(rand::random()));
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = &mut over => return true,
                Some(command) = commands.recv() => commands::not_connected(self.id, command),
            }
        }
    }
}
