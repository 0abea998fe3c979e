//! The building's devices as LoRaWAN nodes of class A, behind packet forwarders on real UDP sockets.
//!
//! Each node is crate `lorawan-device`'s: it joins through the gateway or has its session from the start, counts its
//! frames, and takes what it hears in its receive windows only if that is right. The radio between nodes and forwarders
//! is simulated: frames take no time and none gets lost; a downlink is heard by the node that listens when, where and how
//! fast it is sent. [`DEVICES_PER_FORWARDER`] devices are in the reach of a forwarder, since more joins than that are too
//! much for the air time that it may use in an hour.
//!
//! A node sends its next frame when it has listened for an answer to the last one, which takes it 2 s, or 6 s after a
//! join through Riser: a rate that is too high for so few devices is not reached. What [`Sent`] reports as sent the
//! gateway has answered with PUSH_ACK, which it also does to a frame that it has no key for; with
//! [`Target::confirmed`] it has acknowledged each frame to its node. A gateway that does not answer holds the sender back.

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
use self::site::{Site, Task, Told};
use crate::Building;
use crate::load::{LAST_WORDS, Load, MAX_UNACKNOWLEDGED, Sent, SimulateError, Turns};

/// Devices in the reach of one forwarder.
pub const DEVICES_PER_FORWARDER: usize = 100;
/// Devices at most: their forwarders are as many as `riser run` remembers.
pub const MOST_DEVICES: usize = 25_000;

/// Readings that a gateway makes of how a frame was heard: rssi, snr, spreading_factor, airtime, frames_lost.
const OF_THE_RADIO: u32 = 5;
/// How many begin to join in a second.
const JOINS: f64 = 50.0;
/// How long the gateway may take to answer for the first time.
const FIRST_CONTACT: Duration = Duration::from_secs(10);

/// Where to send, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// The gateway's address for packet forwarders.
    pub address: SocketAddr,
    /// Whose channels the devices use.
    pub region: Region,
    /// How the devices come to their sessions.
    pub activation: Activation,
    /// Whether each frame is to be acknowledged to its node.
    pub confirmed: bool,
    /// What numbers and keys are made of.
    pub seed: u64,
}

/// How a device comes to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Over the air: it joins.
    Otaa,
    /// By personalization: it has had one from the start. Its counters start at 0 each time.
    Abp,
}

/// What a gateway has to know of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The device's name.
    pub name: String,
    /// Where it stands.
    pub zone: String,
    /// Its numbers and keys.
    pub identity: Identity,
    /// What its payloads are.
    pub codec: &'static str,
    /// The codec's metrics, and what they should be called.
    pub rename: Vec<(String, &'static str)>,
}

/// What the gateway has to know before the building's devices can be heard.
///
/// # Errors
/// Where there are more than [`MOST_DEVICES`].
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
    if devices > MOST_DEVICES {
        return Err(SimulateError::TooManyDevices { devices, most: MOST_DEVICES });
    }
    Ok(())
}

/// Has all devices join that have to, then sends until the time is up or `stop` is cancelled, then waits for the last answers. `clock`
/// tells the devices' time of day, and the forwarders theirs.
///
/// # Errors
/// Where `load.rate` is not a number above 0, there are too many devices, the gateway does not answer at all, or none of
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
            answered = timeout(FIRST_CONTACT, forwarder::greet(first, *eui)) => answered
                .map_err(|_| SimulateError::Unreachable { reason: silence(target.address) })?,
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

fn silence(address: SocketAddr) -> String {
    let seconds = FIRST_CONTACT.as_secs();
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
    told: mpsc::Receiver<(usize, Told)>,
    running: JoinSet<()>,
    /// Devices that have a session and do nothing, in the order of their turns.
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
        let (tell, told) = mpsc::channel(MAX_UNACKNOWLEDGED);
        let mut running = JoinSet::new();
        let mut sites = Vec::new();
        for (number, (eui, socket)) in sockets.into_iter().enumerate() {
            let first = number * DEVICES_PER_FORWARDER;
            let last = building.len().min(first + DEVICES_PER_FORWARDER);
            let nodes = (first..last).map(|device| node(target, device)).collect();
            let site = Site::new(eui, nodes, target.confirmed, Instant::now().into_std());
            let (sender, tasks) = mpsc::channel(MAX_UNACKNOWLEDGED);
            sites.push(sender);
            let (told, clock) = (tell.clone(), Arc::clone(&clock));
            running.spawn(Forwarder { first, site, socket, tasks, told, clock }.run());
        }
        let (ready, joined, pending, sent) = (VecDeque::new(), 0, 0, Sent::default());
        Self { building, clock, sites, told, running, ready, joined, pending, sent }
    }

    /// Until every device has joined or given up.
    async fn join(&mut self, stop: &CancellationToken) {
        let mut turns = Turns::new(Load { rate: JOINS, duration: None });
        let mut waiting = 0..self.building.len();
        while !waiting.is_empty() || self.pending > 0 {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((device, told)) = self.told.recv() => self.take(device, told),
                () = turns.tick() => {
                    let room = waiting.len().min(MAX_UNACKNOWLEDGED.saturating_sub(self.pending));
                    for device in waiting.by_ref().take(turns.due(room)) {
                        self.give(device, None);
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
                Some((device, told)) = self.told.recv() => self.take(device, told),
                () = turns.tick() => {
                    let room = self.ready.len().min(MAX_UNACKNOWLEDGED.saturating_sub(self.pending));
                    self.release(turns.due(room));
                }
            }
        }
    }

    /// The next `turns` devices have their turn; a silent one lets it pass.
    fn release(&mut self, turns: usize) {
        let now = self.clock.now();
        for _ in 0..turns {
            let Some(device) = self.ready.pop_front() else { return };
            match self.building.sample(device, now) {
                Some((_, sample)) => {
                    let payload = payload(device, &sample);
                    self.give(device, Some(payload));
                }
                None => self.ready.push_back(device),
            }
        }
    }

    fn give(&mut self, device: usize, payload: Option<payload::Payload>) {
        let task = Task { node: device % DEVICES_PER_FORWARDER, payload };
        let site = self.sites.get(device / DEVICES_PER_FORWARDER);
        // A site takes as many as can be pending, so this fails only if it has ended, and then nothing is pending.
        if site.is_some_and(|site| site.try_send(task).is_ok()) {
            self.pending += 1;
        }
    }

    fn take(&mut self, device: usize, told: Told) {
        match told {
            Told::Repeated => self.sent.repeated += 1,
            Told::Ready => self.ready.push_back(device),
            outcome => {
                self.pending = self.pending.saturating_sub(1);
                self.count(outcome);
            }
        }
    }

    fn count(&mut self, outcome: Told) {
        match outcome {
            Told::Arrived { readings } => {
                self.sent.messages += 1;
                self.sent.readings += u64::from(readings + OF_THE_RADIO);
            }
            Told::NotArrived => self.sent.unacknowledged += 1,
            Told::NotJoined => self.sent.not_joined += 1,
            Told::Joined => self.joined += 1,
            Told::Repeated | Told::Ready => {}
        }
    }

    /// Waits for what is on its way.
    async fn finish(mut self) -> Sent {
        let deadline = Instant::now() + LAST_WORDS;
        self.sites.clear();
        while self.pending > 0 {
            match timeout_at(deadline, self.told.recv()).await {
                Ok(Some((device, told))) => self.take(device, told),
                Ok(None) | Err(_) => break,
            }
        }
        self.sent.unacknowledged += self.pending as u64;
        self.running.shutdown().await;
        self.sent
    }
}
