//! The adapter: one task moves datagrams, uplinks and downlinks between socket, network server, session file and pipeline.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, Clock, Command};
use gateway_core::{AdapterId, CodecId, Condition, Throttle, Timestamp, Uplink};
use lorawan_link::{Activation, Claimed, DeviceConfig, Eui, Network, Now, Output, Transmission, UplinkToken};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::commands::Commands;
use super::figures::{self, Counts};
use super::intake::{Completion, Intake};
use super::networks;
use super::repair;
use super::session_writer::{Released, SessionWriter};
use super::store::Store;
use crate::LOG_PERIOD;
use crate::datagrams::{Inbox, UdpListener, UnicastSocket};

/// How often the figures in `health` are updated.
const FIGURES_INTERVAL: Duration = Duration::from_secs(5);
/// How long the stop waits for uplinks in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Completions received at once.
const COMPLETION_BATCH: usize = 256;

/// The settings of `[adapters.lorawan.<name>]` and of its devices.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address for the forwarders.
    pub listen: SocketAddr,
    /// The networks that forwarders may send from; empty: all.
    pub networks: Vec<networks::Network>,
    /// The network server's settings; each start draws a new seed.
    pub link: lorawan_link::Settings,
    /// The known devices, in the order of their DevEUIs.
    pub devices: Arc<[KnownDevice]>,
    /// The session file.
    pub sessions: PathBuf,
}

impl Settings {
    fn device(&self, device: Eui) -> Option<&KnownDevice> {
        let index = self.devices.binary_search_by_key(&device, |known| known.config.dev_eui).ok()?;
        self.devices.get(index)
    }
}

/// A device of `[devices.*]` with `lorawan`.
#[derive(Debug, Clone)]
pub struct KnownDevice {
    /// The name of its table.
    pub name: String,
    /// Keys and class.
    pub config: DeviceConfig,
    /// The codec of its payloads, if it has one.
    pub codec: Option<CodecId>,
}

impl KnownDevice {
    pub(super) fn resets(&self) -> bool {
        matches!(&self.config.activation, Activation::Abp(abp) if abp.resets)
    }
}

/// The devices of `[adapters.lorawan.<name>]`.
pub struct LorawanAdapter {
    id: AdapterId,
    settings: Settings,
}

impl LorawanAdapter {
    /// Makes an adapter; it opens its port and file when it runs.
    #[must_use]
    pub const fn new(id: AdapterId, settings: Settings) -> Self {
        Self { id, settings }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> AdapterError {
        AdapterError { adapter: self.id.clone(), reason: reason.to_string() }
    }

    /// Opens the session file, and makes the network server with its sessions.
    async fn open(&self, now: Timestamp) -> Result<(Store, Network), AdapterError> {
        let (path, devices) = (self.settings.sessions.clone(), Arc::clone(&self.settings.devices));
        let region = self.settings.link.region;
        let opened = spawn_blocking(move || repair::open(&path, &devices, region, now)).await;
        let opened = opened.map_err(|error| self.failed(&error))?.map_err(|error| self.failed(&error))?;
        let repair::Opened { store, states, damage } = opened;
        if let Some(damage) = damage {
            error!(adapter = %self.id, "lorawan: {damage}");
        }
        let seed = rand::random();
        let mut network = Network::new(lorawan_link::Settings { seed, ..self.settings.link.clone() });
        for (known, state) in self.settings.devices.iter().zip(states) {
            network.add(known.config.clone(), state);
        }
        let locked = network.locked().filter_map(|device| self.settings.device(device));
        let locked: Vec<_> = locked.map(|known| &*known.name).collect();
        if !locked.is_empty() {
            let names = locked.join(", ");
            warn!(adapter = %self.id, "lorawan: the counters of {names} were lost with a damaged lorawan.db; their frames are refused until you set or change `fcnt_up` of each; see docs/lorawan.md");
        }
        Ok((store, network))
    }
}

#[async_trait]
impl Adapter for LorawanAdapter {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let (store, network) = self.open(context.clock.now()).await?;
        let (intake, completions) = Intake::new(&self.id);
        let mut driver = Driver {
            id: &self.id,
            settings: &self.settings,
            listener: UdpListener::open(&self.id, self.settings.listen, UnicastSocket::bind),
            network,
            writer: SessionWriter::new(store),
            intake,
            commands: Commands::new(&self.id),
            counts: Counts::default(),
            refusals: Throttle::new(LOG_PERIOD),
            clock: Arc::clone(&context.clock),
        };
        let AdapterContext { uplinks, commands, condition, stop, .. } = context;
        let result = driver.run(uplinks, commands, condition, stop, completions).await;
        driver.close().await;
        result.map_err(|error| self.failed(&error))
    }
}

/// Owns socket, network server and sessions, and runs their loop.
struct Driver<'a> {
    id: &'a AdapterId,
    settings: &'a Settings,
    listener: UdpListener<UnicastSocket>,
    network: Network,
    writer: SessionWriter,
    intake: Intake,
    commands: Commands,
    counts: Counts,
    refusals: Throttle,
    clock: Arc<dyn Clock>,
}

impl Driver<'_> {
    async fn run(
        &mut self,
        uplinks: &mpsc::Sender<Vec<Uplink>>,
        commands: &mut mpsc::Receiver<Command>,
        condition: &Condition,
        stop: &CancellationToken,
        mut completions: mpsc::Receiver<Completion>,
    ) -> Result<(), tokio::task::JoinError> {
        let mut inbox = Inbox::default();
        let mut completed = Vec::with_capacity(COMPLETION_BATCH);
        let mut figures_due = Instant::now();
        let mut drain_deadline = None;
        loop {
            self.drain().await;
            self.cancel_late();
            self.drain().await;
            self.writer.write_due(Instant::now());
            self.report_condition(condition);
            if figures_due <= Instant::now() {
                figures_due = Instant::now() + FIGURES_INTERVAL;
                condition.show(self.figures());
            }
            if drain_deadline.is_some_and(|at| self.intake.is_idle() || at <= Instant::now()) {
                return Ok(());
            }
            if drain_deadline.is_some() {
                self.intake.flush(Instant::now());
            }
            let waiting = self.intake.has_waiting(Instant::now());
            let due = [
                self.network.next_deadline().map(Instant::from_std),
                self.writer.next_deadline(),
                self.intake.next_deadline().filter(|_| !waiting),
                drain_deadline,
            ];
            let wake = due.into_iter().flatten().min().unwrap_or(figures_due).min(figures_due);
            let mut released = Released::default();
            tokio::select! {
                () = stop.cancelled(), if drain_deadline.is_none() => drain_deadline = Some(Instant::now() + DRAIN_TIMEOUT),
                () = self.listener.serve(&mut inbox) => {}
                permit = uplinks.reserve(), if waiting => match permit {
                    Ok(permit) => permit.send(self.intake.batch(Instant::now())),
                    // The pipeline has ended.
                    Err(_) => drop(self.intake.batch(Instant::now())),
                },
                _ = completions.recv_many(&mut completed, COMPLETION_BATCH) => {}
                Some(command) = commands.recv(), if drain_deadline.is_none() => {
                    let now = self.now();
                    self.commands.accept(command, &self.settings.devices, &mut self.network, now);
                }
                written = self.writer.written() => released = written?,
                () = sleep_until(wake) => {}
            }
            self.release(released).await;
            self.receive(&mut inbox, drain_deadline.is_some());
            completed.drain(..).for_each(|completion| self.complete(&completion));
            if self.network.next_deadline().is_some_and(|due| due <= self.now().instant) {
                self.network.timeout(self.now());
            }
        }
    }

    fn now(&self) -> Now {
        let millis = self.clock.now().as_millis();
        let wall = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
        Now { instant: Instant::now().into_std(), wall }
    }

    /// During the stop new datagrams are dropped: forwarders or devices send them again.
    fn receive(&mut self, inbox: &mut Inbox, stopping: bool) {
        let now = self.now();
        let Self { network, settings, counts, .. } = self;
        inbox.drain(|from, datagram, _| {
            let allowed =
                settings.networks.is_empty() || settings.networks.iter().any(|net| net.contains(from));
            if !allowed {
                counts.foreign = counts.foreign.saturating_add(1);
            } else if !stopping {
                network.receive(from, datagram, now);
            }
        });
    }

    fn complete(&mut self, completion: &Completion) {
        match completion.outcome {
            // A permanent refusal counts as accepted: a repetition would be refused again.
            Some(_) => self.network.uplink_accepted(completion.id, self.now()),
            None => self.reject(completion.id),
        }
    }

    /// The device repeats a confirmed uplink, because it gets no answer; an unconfirmed uplink is lost.
    fn reject(&mut self, token: UplinkToken) {
        self.counts.untaken = self.counts.untaken.saturating_add(1);
        if !self.network.uplink_rejected(token) {
            self.intake.lose_one(Instant::now());
        }
    }

    /// Sends the downlinks and reports the tokens that waited for a write.
    async fn release(&mut self, released: Released) {
        for transmission in released.downlinks {
            self.transmit(transmission).await;
        }
        for token in released.tokens {
            self.network.state_stored(token, self.now());
        }
    }

    /// Sends a frame for a device, if it is not too late.
    async fn transmit(&mut self, transmission: Transmission) {
        let Transmission { id, to, bytes, until } = transmission;
        let in_time = self.now().instant <= until;
        if in_time && self.listener.send(to, &bytes).await {
            self.network.transmission_sent(id, self.now());
        } else {
            self.network.transmission_cancelled(id, self.now());
        }
    }

    /// Cancels downlinks that waited too long for the disk.
    fn cancel_late(&mut self) {
        for id in self.writer.take_cancelled(Instant::now()) {
            self.network.transmission_cancelled(id, self.now());
        }
    }

    /// Handles all outputs of the network server.
    async fn drain(&mut self) {
        while let Some(output) = self.network.poll() {
            self.handle_output(output).await;
        }
    }

    async fn handle_output(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } => drop(self.listener.send(to, &bytes).await),
            Output::Transmit(transmission) => {
                if let Some(transmission) = self.writer.delay(transmission, Instant::now()) {
                    self.transmit(transmission).await;
                }
            }
            Output::Store { token, state } => self.writer.store(token, state, Instant::now()),
            Output::Uplink(uplink) => {
                self.counts.uplinks = self.counts.uplinks.saturating_add(1);
                let token = uplink.token;
                if let Some(known) = self.settings.device(uplink.device)
                    && !self.intake.push(known, *uplink, Instant::now())
                {
                    self.reject(token);
                }
            }
            Output::Joined { device, address } => {
                self.counts.joins = self.counts.joins.saturating_add(1);
                let name = self.settings.device(device).map(|known| &*known.name);
                info!(adapter = %self.id, device = name, "lorawan: {device} has joined as {address}");
            }
            Output::Downlink { id, outcome, .. } => self.commands.handle_outcome(id, outcome),
            Output::Refused { reason, from, gateway, claimed } => {
                self.intake.refuse(reason, Instant::now());
                debug!(adapter = %self.id, "lorawan: frame of {claimed:?} from {from} refused: {reason}");
                if let Some(passed_over) = self.refusals.allow(Instant::now().into_std()) {
                    let gateway = gateway.map(|gateway| gateway.to_string());
                    let claimed = claimed.map(|claimed| match claimed {
                        Claimed::Address(address) => address.to_string(),
                        Claimed::Device(device) => device.to_string(),
                    });
                    warn!(adapter = %self.id, %from, gateway, device = claimed, passed_over, "lorawan: refused: {reason}");
                }
            }
        }
    }

    /// Up while the port is open and sessions can be stored.
    fn report_condition(&self, condition: &Condition) {
        let problems = [self.listener.problem(), self.writer.problem.as_deref()];
        let present = problems.into_iter().flatten().collect::<Vec<_>>().join("; ");
        condition.with_problems(&present);
    }

    fn figures(&mut self) -> std::collections::BTreeMap<String, u64> {
        self.counts.unsent = self.listener.unsent;
        self.counts.given_up = self.writer.cancelled;
        self.counts.lost = self.intake.total_lost;
        self.counts.without_codec = self.intake.without_codec;
        self.counts.unwritten = u64::try_from(self.writer.unwritten()).unwrap_or(u64::MAX);
        let now = self.now();
        figures::figures(&self.counts, &mut self.network, now)
    }

    /// Writes the sessions to disk.
    async fn close(&mut self) {
        self.drain().await;
        self.commands.cancel_all();
        self.writer.close().await;
    }
}
