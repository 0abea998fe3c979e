//! A net in memory: a server, clients, and what happens to datagrams between them. Time is a number.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::super::{Client, Credentials, Key, Keys, Limits, Output, Server};
use crate::{Identity, Peer};

pub(super) const SERVER: &str = "192.0.2.1:5684";

/// What the net does with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Deliver,
    Lose,
    Twice,
    /// Overtaken by the one after.
    Late,
}

/// What arrives of a datagram, by whether it is for the server.
pub(super) type OnItsWay<'a> = &'a mut dyn FnMut(bool, &[u8]) -> VecDeque<Vec<u8>>;

pub(super) struct Net {
    pub(super) server: Server,
    pub(super) clients: BTreeMap<SocketAddr, Client>,
    pub(super) now: Instant,
    /// What the server has put out but for datagrams.
    pub(super) said: Vec<Output>,
    /// What the clients have put out but for datagrams.
    pub(super) outputs: Vec<(SocketAddr, Output)>,
    /// Every datagram that was sent: from, to, bytes.
    pub(super) wire: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// The fates of the datagrams to come; after that all are delivered.
    pub(super) fates: VecDeque<Fate>,
    under_way: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    late: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text.as_bytes().to_vec()).expect("a key")
}

/// Made once: dimpl tries all its curves each time.
pub(super) fn credentials(identity: &str, secret: &str) -> Credentials {
    static MADE: Mutex<BTreeMap<(String, String), Credentials>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().expect("no test panics here");
    let new = || Credentials::new(Identity::from(identity), key(secret)).expect("credentials");
    made.entry((identity.to_owned(), secret.to_owned())).or_insert_with(new).clone()
}

/// `sensor01` to `sensor05` with the key `secret-` and their name.
pub(super) fn keys() -> Keys {
    let mut keys = Keys::new();
    for number in 1..=5 {
        let name = format!("sensor0{number}");
        keys.insert(Identity::from(name.as_str()), key(&format!("secret-{name}"))).expect("a key once");
    }
    keys
}

impl Net {
    pub(super) fn new(limits: Limits) -> Self {
        // The clock here begins at the true time and then goes by itself.
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
        let now = Instant::now();
        Self {
            server: Server::new(keys(), limits, now).expect("a server"),
            clients: BTreeMap::new(),
            now,
            said: Vec::new(),
            outputs: Vec::new(),
            wire: Vec::new(),
            fates: VecDeque::new(),
            under_way: VecDeque::new(),
            late: VecDeque::new(),
        }
    }

    /// Begins a handshake; nothing is delivered yet.
    pub(super) fn connect(&mut self, from: &str, credentials: &Credentials) -> SocketAddr {
        let from = address(from);
        self.clients.insert(from, Client::connect(address(SERVER), credentials, self.now));
        self.collect();
        from
    }

    /// A client of `sensor0<number>` with a session.
    pub(super) fn open(&mut self, from: &str, identity: &str) -> SocketAddr {
        let from = self.connect(from, &credentials(identity, &format!("secret-{identity}")));
        self.settle();
        let (said, counts) = (&self.said, self.server.counts());
        assert!(
            self.clients[&from].is_open(),
            "{identity} has no session: {said:?}, {counts:?} {:02x?}",
            self.wire
        );
        from
    }

    pub(super) fn client(&mut self, at: SocketAddr) -> &mut Client {
        self.clients.get_mut(&at).expect("a client")
    }

    /// The server receives this from `from`, which may be a lie.
    pub(super) fn inject(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.server.receive(from, datagram, self.now);
        self.collect();
    }

    /// Delivers until nothing is under way.
    pub(super) fn settle(&mut self) {
        self.collect();
        while let Some(datagram) = self.under_way.pop_front().or_else(|| self.late.pop_front()) {
            match self.fates.pop_front().unwrap_or(Fate::Deliver) {
                Fate::Deliver => self.deliver(&datagram),
                Fate::Lose => {}
                Fate::Twice => {
                    self.deliver(&datagram);
                    self.deliver(&datagram);
                }
                Fate::Late => {
                    self.late.push_back(datagram);
                    continue;
                }
            }
            if let Some(late) = self.late.pop_front() {
                self.deliver(&late);
            }
        }
    }

    /// Delivers until nothing is under way, or for a thousand datagrams; `on_its_way` decides for each, and whether it is
    /// for the server, what arrives.
    pub(super) fn settle_with(&mut self, on_its_way: OnItsWay<'_>) {
        for _ in 0..1000 {
            let Some((from, to, bytes)) = self.under_way.pop_front() else { break };
            for bytes in on_its_way(to == address(SERVER), &bytes) {
                self.deliver(&(from, to, bytes));
            }
        }
    }

    fn deliver(&mut self, (from, to, bytes): &(SocketAddr, SocketAddr, Vec<u8>)) {
        if *to == address(SERVER) {
            self.server.receive(*from, bytes, self.now);
        } else if let Some(client) = self.clients.get_mut(to) {
            client.receive(*from, bytes, self.now);
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { address: to, bytes } => self.send(address(SERVER), to, bytes),
                other => self.said.push(other),
            }
        }
        let mut sent = Vec::new();
        for (&from, client) in &mut self.clients {
            while let Some(output) = client.poll() {
                match output {
                    Output::Send { address: to, bytes } => sent.push((from, to, bytes)),
                    other => self.outputs.push((from, other)),
                }
            }
        }
        for (from, to, bytes) in sent {
            self.send(from, to, bytes);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.wire.push((from, to, bytes.clone()));
        self.under_way.push_back((from, to, bytes));
    }

    /// Lets the time pass from alarm to alarm, at most for `span`, and delivers what comes of it.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let next =
                self.clients.values().filter_map(Client::next_deadline).chain(self.server.next_deadline());
            let Some(next) = next.min().filter(|&next| next <= end) else { break };
            assert!(next > self.now, "an alarm that stays due would spin");
            self.now = next;
            self.server.timeout(next);
            for client in self.clients.values_mut() {
                if client.next_deadline().is_some_and(|at| at <= next) {
                    client.timeout(next);
                }
            }
            self.settle();
        }
        self.now = end;
        self.server.timeout(end);
        self.settle();
    }

    /// The messages that the server received from peers, in order.
    pub(super) fn plaintexts(&self) -> Vec<(Peer, Vec<u8>)> {
        let plain = |output: &Output| match output {
            Output::Plain { peer, bytes } => Some((peer.clone(), bytes.clone())),
            _ => None,
        };
        self.said.iter().filter_map(plain).collect()
    }

    /// The datagrams from `from`.
    pub(super) fn sent_by(&self, from: SocketAddr) -> Vec<Vec<u8>> {
        self.wire.iter().filter(|(sender, _, _)| *sender == from).map(|(_, _, bytes)| bytes.clone()).collect()
    }
}

pub(super) fn peer(at: SocketAddr, identity: &str) -> Peer {
    Peer::secured(at, Identity::from(identity))
}
