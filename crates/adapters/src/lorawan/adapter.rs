//! The adapter: one task that moves datagrams, uplinks and downlinks between the socket, the network, the sessions' file
//! and the pipeline.

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
use super::intake::{Intake, Told};
use super::keeper::{Freed, Keeper};
use super::networks;
use super::salvage;
use super::store::Store;
use crate::LOG_PERIOD;
use crate::udp::{Inbox, UdpListener, UnicastSocket};

/// How often `health` gets new figures.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// How long after the stop uplinks under way are waited for.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// Uplinks of which the word is read in one go.
const WORDS: usize = 256;

/// What `[adapters.lorawan.<name>]` and the devices' tables say, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where forwarders send to.
    pub listen: SocketAddr,
    /// Where they may send from; empty: from anywhere.
    pub networks: Vec<networks::Network>,
    /// The network server's; its seed is drawn at each start.
    pub link: lorawan_link::Settings,
    /// Who may be heard, in the order of their DevEUIs.
    pub devices: Arc<[KnownDevice]>,
    /// The file of the sessions.
    pub sessions: PathBuf,
}

impl Settings {
    fn device(&self, device: Eui) -> Option<&KnownDevice> {
        let place = self.devices.binary_search_by_key(&device, |known| known.config.dev_eui).ok()?;
        self.devices.get(place)
    }
}

/// A device of `[devices.*]` with `lorawan`.
#[derive(Debug, Clone)]
pub struct KnownDevice {
    /// What its table is called.
    pub name: String,
    /// Keys and class.
    pub config: DeviceConfig,
    /// What reads its payloads; `None`: nobody.
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
    /// An adapter that has not started.
    #[must_use]
    pub const fn new(id: AdapterId, settings: Settings) -> Self {
        Self { id, settings }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> AdapterError {
        AdapterError { adapter: self.id.clone(), reason: reason.to_string() }
    }

    /// The sessions' file, and the network with what was in it.
    async fn open(&self, now: Timestamp) -> Result<(Store, Network), AdapterError> {
        let (path, devices) = (self.settings.sessions.clone(), Arc::clone(&self.settings.devices));
        let region = self.settings.link.region;
        let opened = spawn_blocking(move || salvage::open(&path, &devices, region, now)).await;
        let opened = opened.map_err(|error| self.failed(&error))?.map_err(|error| self.failed(&error))?;
        let salvage::Opened { store, states, damage } = opened;
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
            warn!(adapter = %self.id, "lorawan: the counters of {names} were lost with a damaged lorawan.db: not heard until fcnt_up of each is written, or changed; see docs/lorawan.md");
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
        let (intake, told) = Intake::new(&self.id);
        let mut roof = Roof {
            id: &self.id,
            settings: &self.settings,
            listener: UdpListener::open(&self.id, self.settings.listen, UnicastSocket::bind),
            network,
            keeper: Keeper::new(store),
            intake,
            commands: Commands::new(&self.id),
            counts: Counts::default(),
            refusals: Throttle::new(LOG_PERIOD),
            clock: Arc::clone(&context.clock),
        };
        let AdapterContext { uplinks, commands, condition, stop, .. } = context;
        let lived = roof.live(uplinks, commands, condition, stop, told).await;
        roof.leave().await;
        lived.map_err(|error| self.failed(&error))
    }
}

/// Everything that the task owns.
struct Roof<'a> {
    id: &'a AdapterId,
    settings: &'a Settings,
    listener: UdpListener<UnicastSocket>,
    network: Network,
    keeper: Keeper,
    intake: Intake,
    commands: Commands,
    counts: Counts,
    refusals: Throttle,
    clock: Arc<dyn Clock>,
}

impl Roof<'_> {
    async fn live(
        &mut self,
        uplinks: &mpsc::Sender<Vec<Uplink>>,
        commands: &mut mpsc::Receiver<Command>,
        condition: &Condition,
        stop: &CancellationToken,
        mut told: mpsc::Receiver<Told>,
    ) -> Result<(), tokio::task::JoinError> {
        let mut inbox = Inbox::default();
        let mut words = Vec::with_capacity(WORDS);
        let mut figures_due = Instant::now();
        let mut give_up = None;
        loop {
            self.drain().await;
            self.give_up_late();
            self.drain().await;
            self.keeper.write_due(Instant::now());
            self.tell_condition(condition);
            if figures_due <= Instant::now() {
                figures_due = Instant::now() + FIGURES_EVERY;
                condition.show(self.figures());
            }
            if give_up.is_some_and(|at| self.intake.is_idle() || at <= Instant::now()) {
                return Ok(());
            }
            if give_up.is_some() {
                self.intake.hurry(Instant::now());
            }
            let waiting = self.intake.has_waiting(Instant::now());
            let due = [
                self.network.next_deadline().map(Instant::from_std),
                self.keeper.next_deadline(),
                self.intake.next_deadline().filter(|_| !waiting),
                give_up,
            ];
            let wake = due.into_iter().flatten().min().unwrap_or(figures_due).min(figures_due);
            let mut freed = Freed::default();
            tokio::select! {
                () = stop.cancelled(), if give_up.is_none() => give_up = Some(Instant::now() + LAST_WORDS),
                () = self.listener.serve(&mut inbox) => {}
                place = uplinks.reserve(), if waiting => match place {
                    Ok(place) => place.send(self.intake.batch(Instant::now())),
                    // The pipeline has ended.
                    Err(_) => drop(self.intake.batch(Instant::now())),
                },
                _ = told.recv_many(&mut words, WORDS) => {}
                Some(command) = commands.recv(), if give_up.is_none() => {
                    let now = self.now();
                    self.commands.take(command, &self.settings.devices, &mut self.network, now);
                }
                written = self.keeper.written() => freed = written?,
                () = sleep_until(wake) => {}
            }
            self.release(freed).await;
            self.hear(&mut inbox, give_up.is_some());
            words.drain(..).for_each(|word| self.word(&word));
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

    /// Once the gateway stops nothing new is taken: forwarders send it again, or devices do.
    fn hear(&mut self, inbox: &mut Inbox, stopping: bool) {
        let now = self.now();
        let Self { network, settings, counts, .. } = self;
        inbox.drain(|from, datagram, _| {
            let welcome =
                settings.networks.is_empty() || settings.networks.iter().any(|net| net.contains(from));
            if !welcome {
                counts.foreign = counts.foreign.saturating_add(1);
            } else if !stopping {
                network.receive(from, datagram, now);
            }
        });
    }

    fn word(&mut self, word: &Told) {
        match word.outcome {
            // Refused for good is taken too: sent again, it would be refused again.
            Some(_) => self.network.taken(word.id, self.now()),
            None => self.untaken(word.id),
        }
    }

    /// A confirmed uplink comes again, since its device is not answered; another is lost.
    fn untaken(&mut self, token: UplinkToken) {
        self.counts.untaken = self.counts.untaken.saturating_add(1);
        if !self.network.untaken(token) {
            self.intake.lose_one(Instant::now());
        }
    }

    /// What a write has set free.
    async fn release(&mut self, freed: Freed) {
        for transmission in freed.downlinks {
            self.transmit(transmission).await;
        }
        for token in freed.tokens {
            self.network.stored(token, self.now());
        }
    }

    /// Lets a frame for a device leave, if there is still time.
    async fn transmit(&mut self, transmission: Transmission) {
        let Transmission { id, to, bytes, until } = transmission;
        let in_time = self.now().instant <= until;
        if in_time && self.listener.send(to, &bytes).await {
            self.network.left(id, self.now());
        } else {
            self.network.withheld(id, self.now());
        }
    }

    /// What the disk has held up for too long.
    fn give_up_late(&mut self) {
        for id in self.keeper.given_up(Instant::now()) {
            self.network.withheld(id, self.now());
        }
    }

    /// Does all that the network says, until it is silent.
    async fn drain(&mut self) {
        while let Some(output) = self.network.poll() {
            self.spoken(output).await;
        }
    }

    async fn spoken(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } => drop(self.listener.send(to, &bytes).await),
            Output::Transmit(transmission) => {
                if let Some(transmission) = self.keeper.behind(transmission, Instant::now()) {
                    self.transmit(transmission).await;
                }
            }
            Output::Store { token, state } => self.keeper.store(token, state, Instant::now()),
            Output::Uplink(uplink) => {
                self.counts.uplinks = self.counts.uplinks.saturating_add(1);
                let token = uplink.token;
                if let Some(known) = self.settings.device(uplink.device)
                    && !self.intake.take(known, *uplink, Instant::now())
                {
                    self.untaken(token);
                }
            }
            Output::Joined { device, address } => {
                self.counts.joins = self.counts.joins.saturating_add(1);
                let name = self.settings.device(device).map(|known| &*known.name);
                info!(adapter = %self.id, device = name, "lorawan: {device} has joined as {address}");
            }
            Output::Downlink { id, outcome, .. } => self.commands.told(id, outcome),
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

    /// Up while its port is open and its sessions can be stored.
    fn tell_condition(&self, condition: &Condition) {
        let problems = [self.listener.problem(), self.keeper.problem.as_deref()];
        let present = problems.into_iter().flatten().collect::<Vec<_>>().join("; ");
        condition.with_problems(&present);
    }

    fn figures(&mut self) -> std::collections::BTreeMap<String, u64> {
        self.counts.unsent = self.listener.unsent;
        self.counts.given_up = self.keeper.given_up;
        self.counts.lost = self.intake.lost_in_all;
        self.counts.without_codec = self.intake.without_codec;
        self.counts.unwritten = u64::try_from(self.keeper.unwritten()).unwrap_or(u64::MAX);
        let now = self.now();
        figures::figures(&self.counts, &mut self.network, now)
    }

    /// Puts the sessions on disk.
    async fn leave(&mut self) {
        self.drain().await;
        self.commands.give_up();
        self.keeper.close().await;
    }
}
