//! The adapter: opens the port, reads lines until it is gone, and opens it again.

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
use crate::lines::{HandedOver, LineCounts, LineReader, LineSource, hand_over};

/// Pauses between two attempts to open the port. Short ones: a cable that is put back is to work again at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the port is looked after, and `health` gets new figures.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes read in one go.
const CHUNK: usize = 4 << 10;

/// What `[adapters.serial.<name>]` says, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    pub port: PathBuf,
    /// Bits a second.
    pub baud: u32,
    pub lines: LineSource,
    /// Whose lines they are that name no device.
    pub device: String,
}

/// The devices of `[adapters.serial.<name>]`.
pub struct SerialAdapter {
    settings: Settings,
}

impl SerialAdapter {
    /// An adapter that has not started.
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

/// Everything that the task owns or borrows.
struct Driver<'a> {
    id: &'a AdapterId,
    settings: &'a Settings,
    source: Arc<LineSource>,
    counts: Arc<LineCounts>,
    backoff: Backoff,
    /// What was told last, empty where all is well.
    problem: String,
    uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    condition: &'a Condition,
    clock: &'a dyn Clock,
    stop: &'a CancellationToken,
}

/// Why an open port is read no more.
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
            self.tell(problem);
            if !self.pause(commands).await {
                return Ok(());
            }
        }
    }

    fn pipeline_ended(&self) -> AdapterError {
        AdapterError { adapter: self.id.clone(), reason: "the pipeline has ended".to_owned() }
    }

    /// Opens the port, and reads and writes until it is gone.
    async fn use_port(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let Settings { port: path, baud, device, .. } = self.settings;
        let port = match Port::open(path, *baud) {
            Ok(port) => port,
            Err(error) => return End::Gone(explain(path, &error)),
        };
        info!(adapter = %self.id, "serial: {} is open at {baud} baud", path.display());
        self.tell(String::new());
        let mut reader = LineReader::new(Arc::clone(&self.source), Arc::clone(&self.counts), device);
        let id = self.id;
        let end = tokio::select! {
            end = self.read(&port, &mut reader) => end,
            () = commands::run(id, &port, commands) => End::Stopped,
        };
        let rest = reader.end(self.clock.now());
        match hand_over(self.id, self.uplinks, rest, self.stop).await {
            HandedOver::PipelineEnded => End::PipelineEnded,
            HandedOver::Yes | HandedOver::Stopped => end,
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
                        let before = reader.taken();
                        match self.take(bytes, reader).await {
                            HandedOver::Yes => {}
                            HandedOver::Stopped => return End::Stopped,
                            HandedOver::PipelineEnded => return End::PipelineEnded,
                        }
                        garble.note(bytes, reader.taken() > before, Instant::now());
                    }
                    Err(error) => return gone(format!("the device was unplugged or has failed: {error}")),
                },
                _ = look.tick() => {
                    if port.is_replaced() {
                        return gone("the device was unplugged".to_owned());
                    }
                    self.look_after(&garble);
                }
            }
        }
    }

    /// Hands the lines in `bytes` over; waits while the pipeline is behind.
    async fn take(&self, mut bytes: &[u8], reader: &mut LineReader) -> HandedOver {
        let at = self.clock.now();
        while !bytes.is_empty() {
            let batch = reader.batch(&mut bytes, at);
            match hand_over(self.id, self.uplinks, batch, self.stop).await {
                HandedOver::Yes => {}
                no => return no,
            }
        }
        HandedOver::Yes
    }

    fn look_after(&mut self, garble: &Garble) {
        let Settings { port, baud, .. } = self.settings;
        let figures = self.counts.figures().map(|(name, count)| (name.to_owned(), count));
        self.condition.show(BTreeMap::from(figures));
        self.tell(match garble.is_likely(Instant::now()) {
            true => format!(
                "{}: what comes is no text, as with a wrong baud rate: check `baud`, which is {baud}",
                port.display()
            ),
            false => String::new(),
        });
    }

    /// Tells `health`, and the log where it is news; empty: all is well.
    fn tell(&mut self, problem: String) {
        self.condition.with_problems(&problem);
        if self.problem != problem {
            if !problem.is_empty() {
                warn!(adapter = %self.id, "serial: {problem}");
            }
            self.problem = problem;
        }
    }

    /// Waits before the next attempt. False where the stop came meanwhile.
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
