//! The building's devices as CoAP nodes on real UDP sockets, in the clear or over DTLS.
//!
//! Each device posts to `/sensors/{device}` as real nodes do: CON, one exchange at a time. Up to [`ENDPOINTS`] devices
//! have their own socket and, with DTLS, their own session; further devices share these. [`Sent`] counts a post as sent
//! when the gateway has answered 2.04. After 5.03 a node waits for the Max-Age and tries again; a gateway that does not
//! answer slows the sender down.

mod channel;
mod node;
mod post;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coap_link::Identity;
use coap_link::dtls::Credentials;
use gateway_core::ports::Clock;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub use coap_link::dtls::Key;

use self::channel::Channel;
use self::node::{Answer, Delivery, Node};
use self::post::Post;
use crate::Building;
use crate::load::{DRAIN_TIMEOUT, Load, MAX_UNACKNOWLEDGED, Sent, SimulateError, Turns};

/// The most sockets; each is a node for the gateway.
pub const ENDPOINTS: usize = 512;
/// The most DTLS sessions of one identity: the limit of `riser run`.
pub const SESSIONS_PER_IDENTITY: usize = 64;
/// The placeholder for the device's name in an identity.
pub const DEVICE: &str = "{device}";

/// Parallel handshakes: a server bounds the unfinished handshakes of one address.
const HANDSHAKES: usize = 16;
/// The time limit for the gateway's first answer.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The gateway's address and the credentials.
#[derive(Debug, Clone)]
pub struct Target {
    /// The gateway's CoAP address.
    pub address: SocketAddr,
    /// For DTLS; `None`: without encryption.
    pub psk: Option<Psk>,
}

/// A pre-shared key and its identity.
#[derive(Debug, Clone)]
pub struct Psk {
    /// Each device has its own identity if this contains [`DEVICE`].
    pub identity: String,
    /// The key of every identity.
    pub key: Key,
}

/// Sends until the time is up or `stop` is cancelled, then waits for the last answers. `clock` is the devices' time
/// of day.
///
/// # Errors
/// `load.rate` is not a number above 0, the identity cannot be used, or the gateway does not answer at all.
pub async fn send(
    target: &Target,
    building: Building,
    load: Load,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Sent, SimulateError> {
    let load = load.check()?;
    let mut channels = channels(target, &building)?;
    if let Some(first) = channels.first_mut() {
        tokio::select! {
            answered = timeout(FIRST_ANSWER_TIMEOUT, first.probe()) => answered
                .unwrap_or_else(|_| Err(channel::no_answer(target)))
                .map_err(|reason| SimulateError::Unreachable { reason })?,
            () = stop.cancelled() => return Ok(Sent::default()),
        }
    }
    let mut sender = Sender::start(channels, building, clock);
    sender.run(load, &stop).await;
    Ok(sender.finish().await)
}

fn channels(target: &Target, building: &Building) -> Result<Vec<Channel>, SimulateError> {
    let devices = building.len();
    let Some(psk) = &target.psk else {
        return (0..devices.min(ENDPOINTS)).map(|_| open(target.address, None)).collect();
    };
    let credentials = |identity: &str| {
        Credentials::new(Identity::from(identity), psk.key.clone())
            .map_err(|source| SimulateError::BadKey { source })
    };
    if !psk.identity.contains(DEVICE) {
        let shared = credentials(&psk.identity)?;
        let sessions = devices.min(SESSIONS_PER_IDENTITY);
        return (0..sessions).map(|_| open(target.address, Some(shared.clone()))).collect();
    }
    if devices > ENDPOINTS {
        return Err(SimulateError::TooManyIdentities { devices, most: ENDPOINTS });
    }
    let own = |(name, _)| open(target.address, Some(credentials(&psk.identity.replace(DEVICE, name))?));
    building.places().map(own).collect()
}

fn open(address: SocketAddr, credentials: Option<Credentials>) -> Result<Channel, SimulateError> {
    Channel::open(address, credentials)
        .map_err(|error| SimulateError::Unreachable { reason: format!("no UDP socket: {error}") })
}

struct Sender {
    building: Building,
    clock: Arc<dyn Clock>,
    next_device: usize,
    /// To each node.
    nodes: Vec<mpsc::Sender<Post>>,
    deliveries: mpsc::Receiver<Delivery>,
    running: JoinSet<()>,
    /// Posts without a delivery yet.
    pending: usize,
    sent: Sent,
}

impl Sender {
    fn start(channels: Vec<Channel>, building: Building, clock: Arc<dyn Clock>) -> Self {
        let (finished, deliveries) = mpsc::channel(MAX_UNACKNOWLEDGED);
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        let mut running = JoinSet::new();
        let mut nodes = Vec::new();
        for channel in channels {
            let (sender, posts) = mpsc::channel(MAX_UNACKNOWLEDGED);
            nodes.push(sender);
            running.spawn(Node::new(channel, posts, finished.clone(), Arc::clone(&handshakes)).run());
        }
        let (next_device, pending, sent) = (0, 0, Sent::default());
        Self { building, clock, next_device, nodes, deliveries, running, pending, sent }
    }

    async fn run(&mut self, load: Load, stop: &CancellationToken) {
        let mut turns = Turns::new(load);
        while !turns.over() {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(delivery) = self.deliveries.recv() => self.count(delivery),
                () = turns.tick() => {
                    let free = MAX_UNACKNOWLEDGED.saturating_sub(self.pending);
                    self.release(turns.due(free));
                }
            }
        }
    }

    /// Lets the next `turns` devices send; a silent device sends nothing.
    fn release(&mut self, turns: usize) {
        let now = self.clock.now();
        for _ in 0..turns {
            let device = self.next_device;
            self.next_device = (device + 1) % self.building.len().max(1);
            let Some((name, sample)) = self.building.sample(device, now) else { continue };
            let post = Post::new(device, name, &sample);
            let node = self.nodes.get(device % self.nodes.len().max(1));
            // A node takes as many as can be pending, so this fails only if it has ended, and then nothing is pending.
            if node.is_some_and(|node| node.try_send(post).is_ok()) {
                self.pending += 1;
            }
        }
    }

    fn count(&mut self, delivery: Delivery) {
        self.pending = self.pending.saturating_sub(1);
        self.sent.repeated += delivery.repeated;
        match delivery.answer {
            Answer::Acknowledged => {
                self.sent.messages += 1;
                self.sent.readings += u64::from(delivery.readings);
            }
            Answer::Refused(reason) => {
                if self.sent.refused == 0 {
                    tracing::warn!("the gateway refuses, and this is the first time: {reason}");
                }
                self.sent.refused += 1;
            }
            Answer::None => self.sent.unacknowledged += 1,
        }
    }

    /// Waits for pending posts and for the end of the sessions.
    async fn finish(mut self) -> Sent {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        self.nodes.clear();
        while self.pending > 0 {
            match timeout_at(deadline, self.deliveries.recv()).await {
                Ok(Some(delivery)) => self.count(delivery),
                Ok(None) | Err(_) => break,
            }
        }
        while let Ok(Some(_)) = timeout_at(deadline, self.running.join_next()).await {}
        self.sent.unacknowledged += self.pending as u64;
        self.sent
    }
}
