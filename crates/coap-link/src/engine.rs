//! The endpoint without its sockets: datagrams and time go in, datagrams and events come out.

mod answers;
mod block1;
mod block2;
mod client;
mod deadlines;
mod dedup;
mod echo;
mod notify;
mod observe;
mod output;
mod peers;
mod reply;
mod retransmit;
mod server;
mod shelf;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::block1::Assemblies;
use self::block2::KeptBodies;
use self::client::{Client, ExchangeId};
use self::deadlines::Deadlines;
use self::dedup::{Answer, Arrival};
use self::echo::Echo;
use self::observe::Observers;
use self::peers::Peers;
use self::retransmit::Outcome;
use self::server::{Open, Origin};
use crate::Peer;
use crate::code::Code;
use crate::message::{Frame, Kind, Malformed, Message};
use crate::options;
use crate::response::Response;
use crate::settings::Settings;

pub use self::client::{RequestError, RequestFailure};
pub use self::output::{Counters, Holdings, Output};
pub use self::server::RequestId;

/// Room that the queue keeps when it is empty.
const USUAL_QUEUE: usize = 64;
/// Answers to multicast requests that wait for their time.
const LEISURELY: usize = 256;

#[derive(Debug)]
enum Queued {
    Send(Peer, Frame),
    Tell(Output),
}

/// A CoAP endpoint without its sockets: see the [crate](crate) for how it is driven.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: StdRng,
    queue: VecDeque<Queued>,
    /// Answers that leave later, by when.
    leisurely: BTreeMap<(Instant, u64), (Peer, Frame)>,
    peers: Peers,
    retransmissions: Deadlines<(u64, Peer)>,
    serial: u64,
    open: HashMap<RequestId, Open>,
    open_due: Deadlines<RequestId>,
    last_request: u64,
    assemblies: Assemblies,
    kept: KeptBodies,
    observers: Observers,
    echo: Echo,
    client: Client,
    counters: Counters,
}

impl Engine {
    /// An engine that knows nobody yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            rng: StdRng::seed_from_u64(settings.seed),
            queue: VecDeque::new(),
            leisurely: BTreeMap::new(),
            peers: Peers::default(),
            retransmissions: Deadlines::new(),
            serial: 0,
            open: HashMap::new(),
            open_due: Deadlines::new(),
            last_request: 0,
            assemblies: Assemblies::new(&settings),
            kept: KeptBodies::new(&settings),
            observers: Observers::default(),
            echo: Echo::new(),
            client: Client::new(),
            counters: Counters::default(),
            settings,
        }
    }

    /// Takes a datagram that came to this endpoint alone.
    pub fn receive(&mut self, peer: &Peer, datagram: &[u8], now: Instant) {
        self.arrived(peer, datagram, false, now);
    }

    /// Takes a datagram that came to a multicast group (RFC 7252, 8): only a NON request is one.
    pub fn receive_multicast(&mut self, peer: &Peer, datagram: &[u8], now: Instant) {
        self.arrived(peer, datagram, true, now);
    }

    /// Answers a request; nothing happens if it was given up meanwhile.
    ///
    /// A GET whose client has this state already, by its ETag, is answered with 2.03 and without the body.
    pub fn respond(&mut self, id: RequestId, response: Response, now: Instant) {
        self.answer(id, response, None, now);
    }

    /// Answers a request on something that can be observed: if it asks for that, its sender is told of all further
    /// [`notify`](Self::notify) for `resource`, any name that the owner gives to this state in this content format.
    pub fn respond_observable(&mut self, id: RequestId, resource: &str, response: Response, now: Instant) {
        self.answer(id, response, Some(resource), now);
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant) {
        self.retransmit(now);
        self.expire_open(now);
        self.expire_exchanges(now);
        self.assemblies.shelf.timeout(now);
        self.kept.shelf.timeout(now);
        self.peers.timeout(now);
        while let Some(entry) = self.leisurely.first_entry().filter(|entry| entry.key().0 <= now) {
            let (peer, frame) = entry.remove();
            self.send(&peer, frame);
        }
    }

    /// When [`timeout`](Self::timeout) is to be called; `None` while there is nothing to wait for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.retransmissions.next(),
            self.open_due.next(),
            self.client.due.next(),
            self.assemblies.shelf.next_deadline(),
            self.kept.shelf.next_deadline(),
            self.peers.next_deadline(),
            self.leisurely.first_key_value().map(|((at, _), _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What there is to do next: to be asked after each call of another function until it returns `None`.
    pub fn poll(&mut self) -> Option<Output> {
        let Some(queued) = self.queue.pop_front() else {
            // What it took to tell thousands of observers is not kept.
            self.queue.shrink_to(USUAL_QUEUE);
            return None;
        };
        Some(match queued {
            Queued::Send(peer, frame) => Output::Send { peer, bytes: frame.encode() },
            Queued::Tell(output) => output,
        })
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What is held now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings {
            peers: self.peers.len(),
            remembered_bytes: self.peers.bytes(),
            open_requests: self.open.len(),
            assemblies: self.assemblies.shelf.len(),
            assembly_bytes: self.assemblies.shelf.bytes(),
            kept_bodies: self.kept.shelf.len(),
            kept_bytes: self.kept.shelf.bytes(),
            observers: self.observers.len(),
            verified: self.echo.len(),
            exchanges: self.client.exchanges.len(),
        }
    }

    fn arrived(&mut self, peer: &Peer, datagram: &[u8], multicast: bool, now: Instant) {
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
                self.separate_response(peer, &message, now);
            }
            // A ping, or a code of a reserved class.
            Kind::Confirmable => self.send(peer, Frame::empty(Kind::Reset, id)),
            Kind::Acknowledgement => {
                self.confirmed(peer, id, Outcome::Acknowledged, now);
                if code.is_response() {
                    self.response_arrived(peer, &message, now);
                }
            }
            Kind::Reset if code == Code::EMPTY => self.was_reset(peer, id, now),
            Kind::NonConfirmable | Kind::Reset => {}
        }
    }

    /// A response in a message of its own: acknowledged if we asked for it, reset if not (RFC 7252, 4.2 and 5.3.2).
    fn separate_response(&mut self, peer: &Peer, message: &Message, now: Instant) {
        let first_id = self.random_id();
        match self.peers.remember(peer, message, first_id, &self.settings, now) {
            Arrival::Again(answer) => return self.answer_again(peer, message.kind, answer),
            Arrival::New => {}
            Arrival::NoRoom => {
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

    fn answer_again(&mut self, peer: &Peer, kind: Kind, answer: Answer) {
        self.counters.duplicates += 1;
        if let (Kind::Confirmable, Answer::Frame(frame)) = (kind, answer) {
            self.send(peer, frame);
        }
    }

    fn was_reset(&mut self, peer: &Peer, id: u16, now: Instant) {
        if self.confirmed(peer, id, Outcome::Reset, now) {
            return;
        }
        if let Some(observer) = self.observers.by_message(peer, id) {
            self.observer_gone(peer, observer);
        } else {
            self.request_was_reset(peer, id, now);
        }
    }

    fn send(&mut self, peer: &Peer, frame: Frame) {
        self.queue.push_back(Queued::Send(peer.clone(), frame));
    }

    /// Sends an answer to a multicast request at a random time, any other at once.
    fn send_at_leisure(&mut self, origin: &Origin, frame: Frame, now: Instant) {
        if !origin.multicast || self.settings.leisure.is_zero() {
            return self.send(&origin.peer, frame);
        }
        if self.leisurely.len() >= LEISURELY {
            self.counters.dropped += 1;
            return;
        }
        self.serial = self.serial.wrapping_add(1);
        let at = now + self.settings.leisure.mul_f64(self.rng.random());
        self.leisurely.insert((at, self.serial), (origin.peer.clone(), frame));
    }

    fn tell(&mut self, output: Output) {
        self.queue.push_back(Queued::Tell(output));
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
        unwanted: options::number(&message.packet, options::NO_RESPONSE).unwrap_or(0),
    }
}
