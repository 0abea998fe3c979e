//! The building's devices as LoRaWAN nodes of class A, behind packet forwarders on real UDP sockets.
//!
//! Each node is one of the crate `lorawan-device`: it joins through the gateway or has a session from the start, counts its
//! frames, and checks downlinks in its receive windows. The radio between nodes and forwarders is simulated: frames take no
//! time and none gets lost; a node receives a downlink if time, frequency and data rate match its window. Each forwarder
//! serves [`DEVICES_PER_FORWARDER`] devices, because the joins of more would exceed its air time per hour.
//!
//! A node sends its next frame after the receive windows of the last one: after 2 s, or 6 s after a join through Riser.
//! With few devices a high rate is therefore not reached. [`Sent`] counts a frame as sent when the gateway has answered
//! with PUSH_ACK, which it also does for a frame without a known key; with [`Target::confirmed`], when it has acknowledged
//! the frame to its node. A gateway that does not answer slows the sender down.

mod clock;
mod forwarder;
mod identity;
mod node;
mod payload;
mod region;
mod semtech;
mod site;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Timestamp;
use gateway_core::ports::Clock;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::identity::Identity;
pub use self::region::Region;

use self::forwarder::Forwarder;
use self::node::Node;
use self::payload::payload;
use self::site::{Site, SiteEvent, Task};
use crate::Building;
use crate::load::{DRAIN_TIMEOUT, Load, MAX_UNACKNOWLEDGED, Sent, SimulateError, Turns};

/// The devices of one forwarder.
pub const DEVICES_PER_FORWARDER: usize = 100;
/// The most devices: `riser run` remembers as many forwarders as they need.
pub const MAX_DEVICES: usize = 25_000;

/// The readings that a gateway makes of a frame's radio values: rssi, snr, spreading_factor, airtime, frames_lost.
const RADIO_READINGS: u32 = 5;
/// Joins started per second.
const JOINS: f64 = 50.0;
/// The time limit for the gateway's first answer.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The gateway's address and the devices' settings.
#[derive(Debug, Clone)]
pub struct Target {
    /// The gateway's address for packet forwarders.
    pub address: SocketAddr,
    /// The region of the devices' channels.
    pub region: Region,
    /// The activation of the devices.
    pub activation: Activation,
    /// Whether the nodes send confirmed frames.
    pub confirmed: bool,
    /// The seed of identities and keys.
    pub seed: u64,
}

/// The activation of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Over the air: it joins.
    Otaa,
    /// By personalization: it has a session from the start. Its counters start at 0 each time.
    Abp,
}

/// The configuration of a device in a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The device's name.
    pub name: String,
    /// The device's zone.
    pub zone: String,
    /// Its EUIs, address and keys.
    pub identity: Identity,
    /// The codec of its payloads.
    pub codec: &'static str,
    /// The codec's metrics and their new names.
    pub rename: Vec<(String, &'static str)>,
}

/// The configuration that the gateway needs for the building's devices.
///
/// # Errors
/// There are more than [`MAX_DEVICES`].
pub fn registrations(building: &Building, seed: u64) -> Result<Vec<Registration>, SimulateError> {
    check(building)?;
    let mut building = building.clone();
    let places: Vec<_> = building.places().map(|(name, zone)| (name.to_owned(), zone.to_owned())).collect();
    let of = |(device, (name, zone))| {
        let values = building.sample(device, Timestamp::from_millis(0)).map(|(_, sample)| sample.values);
        let form = payload::form(device, &values.unwrap_or_default());
        let identity = Identity::new(seed, device);
        Registration { name, zone, identity, codec: form.codec, rename: form.rename }
    };
    Ok(places.into_iter().enumerate().map(of).collect())
}

fn check(building: &Building) -> Result<(), SimulateError> {
    let devices = building.len();
    if devices > MAX_DEVICES {
        return Err(SimulateError::TooManyDevices { devices, most: MAX_DEVICES });
    }
    Ok(())
}

/// Joins all devices that need it, then sends until the time is up or `stop` is cancelled, then waits for the last answers.
/// `clock` is the devices' and the forwarders' time of day.
///
/// # Errors
/// `load.rate` is not a number above 0, there are too many devices, the gateway does not answer at all, or none of
/// the devices can join.
pub async fn send(
    target: &Target,
    building: Building,
    load: Load,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Sent, SimulateError> {
    let load = load.check()?;
    check(&building)?;
    let mut sockets = Vec::new();
    for number in 0..building.len().div_ceil(DEVICES_PER_FORWARDER) {
        let opened = forwarder::open(target.address).await;
        let no_socket = |error| SimulateError::Unreachable { reason: format!("no UDP socket: {error}") };
        sockets.push((identity::forwarder(target.seed, number), opened.map_err(no_socket)?));
    }
    if let Some((eui, first)) = sockets.first() {
        tokio::select! {
            answered = timeout(FIRST_ANSWER_TIMEOUT, forwarder::probe(first, *eui)) => answered
                .map_err(|_| SimulateError::Unreachable { reason: no_answer(target.address) })?,
            () = stop.cancelled() => return Ok(Sent::default()),
        }
    }
    let mut sender = Sender::start(target, sockets, building, clock);
    match target.activation {
        Activation::Otaa => sender.join(&stop).await,
        Activation::Abp => sender.ready.extend(0..sender.building.len()),
    }
    if sender.joined == 0 && sender.sent.not_joined > 0 {
        let (devices, region) = (sender.sent.not_joined, target.region.to_string());
        return Err(SimulateError::NoneJoined { devices, region });
    }
    sender.run(load, &stop).await;
    Ok(sender.finish().await)
}

fn no_answer(address: SocketAddr) -> String {
    let seconds = FIRST_ANSWER_TIMEOUT.as_secs();
    format!(
        "nothing came back from {address} within {seconds} s; does a gateway listen there ([adapters.lorawan.*]), and may \
         this machine send to it (its `networks` and `gateways`)?"
    )
}

fn node(target: &Target, device: usize) -> Node {
    let identity = Identity::new(target.seed, device);
    let mut node = Node::new(identity, target.region, device, rand::random());
    if target.activation == Activation::Abp {
        node.personalize();
    }
    node
}

struct Sender {
    building: Building,
    clock: Arc<dyn Clock>,
    /// To each forwarder.
    sites: Vec<mpsc::Sender<Task>>,
    events: mpsc::Receiver<(usize, SiteEvent)>,
    running: JoinSet<()>,
    /// Idle devices with a session, in the order of their turns.
    ready: VecDeque<usize>,
    joined: usize,
    /// Tasks without an outcome yet.
    pending: usize,
    sent: Sent,
}

impl Sender {
    fn start(
        target: &Target,
        sockets: Vec<(u64, UdpSocket)>,
        building: Building,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (sender, events) = mpsc::channel(MAX_UNACKNOWLEDGED);
        let mut running = JoinSet::new();
        let mut sites = Vec::new();
        for (number, (eui, socket)) in sockets.into_iter().enumerate() {
            let first = number * DEVICES_PER_FORWARDER;
            let last = building.len().min(first + DEVICES_PER_FORWARDER);
            let nodes = (first..last).map(|device| node(target, device)).collect();
            let site = Site::new(eui, nodes, target.confirmed, Instant::now().into_std());
            let (task_sender, tasks) = mpsc::channel(MAX_UNACKNOWLEDGED);
            sites.push(task_sender);
            let (events, clock) = (sender.clone(), Arc::clone(&clock));
            running.spawn(Forwarder { first, site, socket, tasks, events, clock }.run());
        }
        let (ready, joined, pending, sent) = (VecDeque::new(), 0, 0, Sent::default());
        Self { building, clock, sites, events, running, ready, joined, pending, sent }
    }

    /// Runs until every device has joined or failed to.
    async fn join(&mut self, stop: &CancellationToken) {
        let mut turns = Turns::new(Load { rate: JOINS, duration: None });
        let mut waiting = 0..self.building.len();
        while !waiting.is_empty() || self.pending > 0 {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((device, event)) = self.events.recv() => self.handle(device, event),
                () = turns.tick() => {
                    let free = waiting.len().min(MAX_UNACKNOWLEDGED.saturating_sub(self.pending));
                    for device in waiting.by_ref().take(turns.due(free)) {
                        self.assign(device, None);
                    }
                }
            }
        }
    }

    async fn run(&mut self, load: Load, stop: &CancellationToken) {
        let mut turns = Turns::new(load);
        while !turns.over() {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((device, event)) = self.events.recv() => self.handle(device, event),
                () = turns.tick() => {
                    let free = self.ready.len().min(MAX_UNACKNOWLEDGED.saturating_sub(self.pending));
                    self.release(turns.due(free));
                }
            }
        }
    }

    /// Lets the next `turns` devices send; a silent device sends nothing.
    fn release(&mut self, turns: usize) {
        let now = self.clock.now();
        for _ in 0..turns {
            let Some(device) = self.ready.pop_front() else { return };
            match self.building.sample(device, now) {
                Some((_, sample)) => {
                    let payload = payload(device, &sample);
                    self.assign(device, Some(payload));
                }
                None => self.ready.push_back(device),
            }
        }
    }

    fn assign(&mut self, device: usize, payload: Option<payload::Payload>) {
        let task = Task { node: device % DEVICES_PER_FORWARDER, payload };
        let site = self.sites.get(device / DEVICES_PER_FORWARDER);
        // A site takes as many as can be pending, so this fails only if it has ended, and then nothing is pending.
        if site.is_some_and(|site| site.try_send(task).is_ok()) {
            self.pending += 1;
        }
    }

    fn handle(&mut self, device: usize, event: SiteEvent) {
        match event {
            SiteEvent::Repeated => self.sent.repeated += 1,
            SiteEvent::Ready => self.ready.push_back(device),
            outcome => {
                self.pending = self.pending.saturating_sub(1);
                self.count(outcome);
            }
        }
    }

    fn count(&mut self, outcome: SiteEvent) {
        match outcome {
            SiteEvent::Arrived { readings } => {
                self.sent.messages += 1;
                self.sent.readings += u64::from(readings + RADIO_READINGS);
            }
            SiteEvent::NotArrived => self.sent.unacknowledged += 1,
            SiteEvent::NotJoined => self.sent.not_joined += 1,
            SiteEvent::Joined => self.joined += 1,
            SiteEvent::Repeated | SiteEvent::Ready => {}
        }
    }

    /// Waits for pending frames.
    async fn finish(mut self) -> Sent {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        self.sites.clear();
        while self.pending > 0 {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some((device, event))) => self.handle(device, event),
                Ok(None) | Err(_) => break,
            }
        }
        self.sent.unacknowledged += self.pending as u64;
        self.running.shutdown().await;
        self.sent
    }
}
