//! The CoAP endpoint without sockets: takes datagrams and the time, returns datagrams and events.

mod block1;
mod block2;
mod body_cache;
mod client;
mod dedup;
mod echo;
mod notify;
mod observe;
mod output;
mod peers;
mod reply;
mod responses;
mod retransmit;
mod server;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::block1::Assemblies;
use self::block2::ResponseBodies;
use self::client::{Client, ExchangeId};
use self::dedup::{Arrival, RecordedAnswer};
use self::echo::Echo;
use self::observe::Observers;
use self::peers::Peers;
use self::retransmit::Outcome;
use self::server::{Origin, PendingRequest};
use crate::Peer;
use crate::code::Code;
use crate::deadlines::Deadlines;
use crate::message::{Frame, Kind, Malformed, Message};
use crate::options;
use crate::response::Response;
use crate::settings::Settings;

pub use self::client::{RequestError, RequestFailure};
pub use self::output::{Counters, MemoryUse, Output};
pub use self::server::RequestId;

/// The capacity that the empty queue keeps.
const MIN_QUEUE_CAPACITY: usize = 64;
/// The most responses to multicast requests that are delayed.
const MAX_DELAYED: usize = 256;

#[derive(Debug)]
enum QueuedOutput {
    Send(Peer, Frame),
    Event(Output),
}

/// A CoAP endpoint without sockets. The [crate documentation](crate) describes how to drive it.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: StdRng,
    queue: VecDeque<QueuedOutput>,
    /// Delayed responses to multicast requests, by their time.
    delayed: BTreeMap<(Instant, u64), (Peer, Frame)>,
    peers: Peers,
    retransmissions: Deadlines<(u64, Peer)>,
    serial: u64,
    pending: HashMap<RequestId, PendingRequest>,
    pending_deadlines: Deadlines<RequestId>,
    last_request: u64,
    assemblies: Assemblies,
    response_bodies: ResponseBodies,
    observers: Observers,
    echo: Echo,
    client: Client,
    counters: Counters,
}

impl Engine {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            rng: StdRng::seed_from_u64(settings.seed),
            queue: VecDeque::new(),
            delayed: BTreeMap::new(),
            peers: Peers::default(),
            retransmissions: Deadlines::default(),
            serial: 0,
            pending: HashMap::new(),
            pending_deadlines: Deadlines::default(),
            last_request: 0,
            assemblies: Assemblies::new(&settings),
            response_bodies: ResponseBodies::new(&settings),
            observers: Observers::default(),
            echo: Echo::new(),
            client: Client::new(),
            counters: Counters::default(),
            settings,
        }
    }

    /// Handles a datagram that was sent to this endpoint alone.
    pub fn receive(&mut self, peer: &Peer, datagram: &[u8], now: Instant) {
        self.handle_datagram(peer, datagram, false, now);
    }

    /// Handles a datagram that was sent to a multicast group (RFC 7252, 8): only a NON request is allowed.
    pub fn receive_multicast(&mut self, peer: &Peer, datagram: &[u8], now: Instant) {
        self.handle_datagram(peer, datagram, true, now);
    }

    /// Answers a request; does nothing if the request has expired.
    ///
    /// If the client already has this state by its ETag, a GET is answered with 2.03 and without the body.
    pub fn respond(&mut self, id: RequestId, response: Response, now: Instant) {
        self.answer(id, response, None, now);
    }

    /// Answers a request for an observable resource. If the client asks to observe it, it receives every further
    /// [`notify`](Self::notify) for `resource`, a name that the owner chooses for this state in this content format.
    pub fn respond_observable(&mut self, id: RequestId, resource: &str, response: Response, now: Instant) {
        self.answer(id, response, Some(resource), now);
    }

    /// Does what is due: retransmissions, time-outs, delayed responses.
    pub fn timeout(&mut self, now: Instant) {
        self.retransmit(now);
        self.expire_pending(now);
        self.expire_exchanges(now);
        self.assemblies.cache.timeout(now);
        self.response_bodies.cache.timeout(now);
        self.peers.timeout(now);
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let (peer, frame) = entry.remove();
            self.send(&peer, frame);
        }
    }

    /// When to call [`timeout`](Self::timeout); `None` if nothing is pending.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.retransmissions.next(),
            self.pending_deadlines.next(),
            self.client.due.next(),
            self.assemblies.cache.next_deadline(),
            self.response_bodies.cache.next_deadline(),
            self.peers.next_deadline(),
            self.delayed.first_key_value().map(|((at, _), _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next output. Call it after every other call until it returns `None`.
    pub fn poll(&mut self) -> Option<Output> {
        let Some(queued) = self.queue.pop_front() else {
            // Releases the memory of a burst, such as notifications to thousands of observers.
            self.queue.shrink_to(MIN_QUEUE_CAPACITY);
            return None;
        };
        Some(match queued {
            QueuedOutput::Send(peer, frame) => Output::Send { peer, bytes: frame.encode() },
            QueuedOutput::Event(output) => output,
        })
    }

    /// Counters since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What the engine holds now.
    #[must_use]
    pub fn memory_use(&self) -> MemoryUse {
        MemoryUse {
            peers: self.peers.len(),
            remembered_bytes: self.peers.bytes(),
            open_requests: self.pending.len(),
            assemblies: self.assemblies.cache.len(),
            assembly_bytes: self.assemblies.cache.bytes(),
            kept_bodies: self.response_bodies.cache.len(),
            kept_bytes: self.response_bodies.cache.bytes(),
            observers: self.observers.len(),
            verified: self.echo.len(),
            exchanges: self.client.exchanges.len(),
        }
    }

    fn handle_datagram(&mut self, peer: &Peer, datagram: &[u8], multicast: bool, now: Instant) {
        let message = match Message::decode(datagram) {
            Ok(message) => message,
            Err(malformed) => {
                self.counters.malformed += 1;
                if let Malformed::Format { kind: Kind::Confirmable, id } = malformed
                    && !multicast
                {
                    self.send(peer, Frame::empty(Kind::Reset, id));
                }
                return;
            }
        };
        if multicast && (message.kind != Kind::NonConfirmable || !message.code.is_request()) {
            return;
        }
        let (kind, code, id) = (message.kind, message.code, message.id);
        match kind {
            Kind::Confirmable | Kind::NonConfirmable if code.is_request() => {
                let origin = origin(peer, &message, datagram.len(), multicast);
                self.request_arrived(&origin, &message, now);
            }
            Kind::Confirmable | Kind::NonConfirmable if code.is_response() => {
                self.separate_response_received(peer, &message, now);
            }
            // A ping, or a reserved code class.
            Kind::Confirmable => self.send(peer, Frame::empty(Kind::Reset, id)),
            Kind::Acknowledgement => {
                self.confirmed(peer, id, Outcome::Acknowledged, now);
                if code.is_response() {
                    self.response_arrived(peer, &message, now);
                }
            }
            Kind::Reset if code == Code::EMPTY => self.reset_received(peer, id, now),
            Kind::NonConfirmable | Kind::Reset => {}
        }
    }

    /// A separate response: acknowledged if it matches a request, otherwise reset (RFC 7252, 4.2 and 5.3.2).
    fn separate_response_received(&mut self, peer: &Peer, message: &Message, now: Instant) {
        let first_id = self.random_id();
        match self.peers.remember(peer, message, first_id, &self.settings, now) {
            Arrival::Duplicate(answer) => return self.repeat_answer(peer, message.kind, answer),
            Arrival::New => {}
            Arrival::Full => {
                self.counters.dropped += 1;
                return;
            }
        }
        let critical = options::unacceptable(&message.packet).is_some();
        let wanted = !critical && self.response_arrived(peer, message, now);
        let answer = match (wanted, message.kind) {
            (true, Kind::Confirmable) => Frame::empty(Kind::Acknowledgement, message.id),
            (true, _) => return,
            (false, _) => Frame::empty(Kind::Reset, message.id),
        };
        self.peers.answered(peer, message.id, answer.clone(), &self.settings);
        self.send(peer, answer);
    }

    fn repeat_answer(&mut self, peer: &Peer, kind: Kind, answer: RecordedAnswer) {
        self.counters.duplicates += 1;
        if let (Kind::Confirmable, RecordedAnswer::Frame(frame)) = (kind, answer) {
            self.send(peer, frame);
        }
    }

    fn reset_received(&mut self, peer: &Peer, id: u16, now: Instant) {
        if self.confirmed(peer, id, Outcome::Reset, now) {
            return;
        }
        if let Some(observer) = self.observers.by_message(peer, id) {
            self.observer_gone(peer, observer);
        } else {
            self.request_reset(peer, id, now);
        }
    }

    fn send(&mut self, peer: &Peer, frame: Frame) {
        self.queue.push_back(QueuedOutput::Send(peer.clone(), frame));
    }

    /// Sends a response to a multicast request at a random time within the leisure, any other at once.
    fn send_after_leisure(&mut self, origin: &Origin, frame: Frame, now: Instant) {
        if !origin.multicast || self.settings.leisure.is_zero() {
            return self.send(&origin.peer, frame);
        }
        if self.delayed.len() >= MAX_DELAYED {
            self.counters.dropped += 1;
            return;
        }
        self.serial = self.serial.wrapping_add(1);
        let at = now + self.settings.leisure.mul_f64(self.rng.random());
        self.delayed.insert((at, self.serial), (origin.peer.clone(), frame));
    }

    fn emit(&mut self, output: Output) {
        self.queue.push_back(QueuedOutput::Event(output));
    }

    fn random_id(&mut self) -> u16 {
        self.rng.random()
    }

    /// A message id for a NON to `peer`.
    fn next_id(&mut self, peer: &Peer) -> u16 {
        match self.peers.get_mut(peer) {
            Some(state) => state.next_id(),
            None => self.random_id(),
        }
    }
}

fn origin(peer: &Peer, message: &Message, length: usize, multicast: bool) -> Origin {
    Origin {
        peer: peer.clone(),
        kind: message.kind,
        id: message.id,
        token: message.token,
        multicast,
        fingerprint: message.fingerprint,
        length,
        acknowledged: false,
        suppressed_classes: options::number(&message.packet, options::NO_RESPONSE).unwrap_or(0),
    }
}
