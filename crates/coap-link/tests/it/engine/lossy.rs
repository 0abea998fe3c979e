//! Two engines with a bad network between them: datagrams are lost, doubled and overtaken.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::{
    Code, ContentFormat, Engine, Method, Output, Peer, Request, RequestFailure, Response, Settings, Token,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::support::local;

/// How bad it is: the parts of datagrams that are lost and doubled, and the longest way.
#[derive(Debug, Clone)]
struct Weather {
    lost: f64,
    doubled: f64,
    slowest: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

struct Network {
    weather: Weather,
    rng: StdRng,
    now: Instant,
    /// What is on its way: when it arrives, where.
    flying: BTreeMap<(Instant, u64), (Side, Bytes)>,
    sent: u64,
    client: Engine,
    server: Engine,
    /// How often the owner of the server was asked each thing.
    asked: HashMap<Bytes, u32>,
    /// How each request went.
    responses: Vec<(Token, Result<Response, RequestFailure>)>,
    /// Answers that the owner gives later.
    later: BTreeMap<(Instant, u64), (coap_link::RequestId, Bytes)>,
}

impl Network {
    fn new(seed: u64, weather: Weather) -> Self {
        Self {
            weather,
            rng: StdRng::seed_from_u64(seed),
            now: tokio::time::Instant::now().into_std(),
            flying: BTreeMap::new(),
            sent: 0,
            client: Engine::new(Settings { seed, ..Settings::default() }),
            server: Engine::new(Settings { seed: !seed, ..Settings::default() }),
            asked: HashMap::new(),
            responses: Vec::new(),
            later: BTreeMap::new(),
        }
    }

    fn fly(&mut self, to: Side, bytes: &Bytes) {
        let copies = 1 + u32::from(self.rng.random_bool(self.weather.doubled));
        for _ in 0..copies {
            if !self.rng.random_bool(self.weather.lost) {
                self.sent += 1;
                let at = self.now + self.weather.slowest.mul_f64(self.rng.random());
                self.flying.insert((at, self.sent), (to, bytes.clone()));
            }
        }
    }

    fn work(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Send { bytes, .. } => self.fly(Side::Server, &bytes),
                Output::Response { token, result, .. } => self.responses.push((token, result)),
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { bytes, .. } => self.fly(Side::Client, &bytes),
                Output::Request { id, request, .. } => {
                    *self.asked.entry(request.payload.clone()).or_default() += 1;
                    self.sent += 1;
                    let slow = if self.rng.random_bool(0.3) { 3.0 } else { 0.1 };
                    let at = self.now + Duration::from_secs_f64(slow * self.rng.random::<f64>());
                    self.later.insert((at, self.sent), (id, request.payload));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Goes on to the next moment at which something happens; `false`: nothing will.
    fn step(&mut self) -> bool {
        self.work();
        let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let next = [flying, later, self.client.next_deadline(), self.server.next_deadline()];
        let Some(next) = next.into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        self.client.timeout(self.now);
        self.server.timeout(self.now);
        if flying.is_some_and(|at| at <= self.now)
            && let Some((_, (to, bytes))) = self.flying.pop_first()
        {
            let engine = if to == Side::Client { &mut self.client } else { &mut self.server };
            engine.receive(&local(), &bytes, self.now);
        }
        if later.is_some_and(|at| at <= self.now)
            && let Some((_, (id, payload))) = self.later.pop_first()
        {
            let answer = Response { payload, ..Response::new(Code::CHANGED) };
            self.server.respond(id, answer, self.now);
        }
        true
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    (0.0..0.6, 0.0..0.5, 0..4_000_u64).prop_map(|(lost, doubled, millis)| Weather {
        lost,
        doubled,
        slowest: Duration::from_millis(millis),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_confirmable_request_is_done_at_most_once_and_ends_with_its_answer_or_a_time_out(
        seed in any::<u64>(),
        weather in weather(),
        requests in 1..12_u32,
    ) {
        let mut network = Network::new(seed, weather);
        let mut expected = HashMap::new();
        for number in 0..requests {
            let body = Bytes::from(format!("request {number}"));
            let request = Request::new(Method::Post, "x").with_payload(ContentFormat::TEXT, body.clone());
            let token = network.client.request(&local(), request, network.now).expect("there is room");
            expected.insert(token, body);
        }
        let mut steps = 0;
        while network.step() {
            steps += 1;
            prop_assert!(steps < 100_000, "it never ends");
        }
        prop_assert_eq!(network.responses.len(), expected.len(), "each is reported once");
        for (token, result) in &network.responses {
            let body = expected.remove(token).expect("reported once");
            match result {
                Ok(response) => {
                    prop_assert_eq!(&response.payload, &body, "its own answer");
                    prop_assert_eq!(network.asked.get(&body), Some(&1));
                }
                Err(failure) => prop_assert_eq!(failure, &RequestFailure::TimedOut),
            }
        }
        for (body, times) in &network.asked {
            prop_assert_eq!(*times, 1, "{:?} was done more than once", body);
        }
        for engine in [&network.client, &network.server] {
            let left = coap_link::MemoryUse { verified: engine.memory_use().verified, ..Default::default() };
            prop_assert_eq!(engine.memory_use(), left, "in the end nothing is held");
        }
    }
}

#[test]
fn without_loss_every_request_is_answered() {
    let weather = Weather { lost: 0.0, doubled: 0.5, slowest: Duration::from_millis(900) };
    let mut network = Network::new(1, weather);
    for number in 0..10 {
        let request = Request::new(Method::Post, "x").with_payload(ContentFormat::TEXT, number.to_string());
        let peer: Peer = local();
        network.client.request(&peer, request, network.now).expect("there is room");
    }
    while network.step() {}
    assert_eq!(network.responses.iter().filter(|(_, result)| result.is_ok()).count(), 10);
}
