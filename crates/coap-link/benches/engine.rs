//! What the engine costs without sockets: a POST round trip, a notification to many observers, hostile datagrams.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use coap_link::{Code, ContentFormat, Engine, Output, Peer, Response, Settings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const PAYLOAD: &[u8] = br#"{"temperature":21.37,"humidity":44.1,"co2":612}"#;
const GET: u8 = 1;
const POST: u8 = 2;

fn peers(count: u32) -> Vec<Peer> {
    let address = |number: u32| SocketAddr::from(((0x0a00_0000 | number).to_be_bytes(), 40_000));
    (0..count).map(|number| Peer::unsecured(address(number))).collect()
}

/// A CON for `/sensors/lounge-0001`: a POST of three readings, or a GET that observes.
fn request(code: u8, id: u16) -> Vec<u8> {
    let mut bytes = vec![0x44, code];
    bytes.extend(id.to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(if code == GET { &[0x60, 0x57][..] } else { &[0xb7] });
    bytes.extend(b"sensors\x0blounge-0001");
    if code == POST {
        bytes.extend([0x11, 50, 0xff]);
        bytes.extend(PAYLOAD);
    }
    bytes
}

/// What the owner of an engine does, with the thinnest of owners. How many datagrams went out.
fn drain(engine: &mut Engine, now: Instant) -> u64 {
    let mut sent = 0;
    while let Some(output) = engine.poll() {
        match output {
            Output::Send { peer, bytes } => {
                sent += 1;
                if let [0x40..=0x4f, _, high, low, ..] = bytes[..] {
                    engine.receive(&peer, &[0x60, 0, high, low], now);
                }
            }
            Output::Request { id, request, .. } if request.observe.is_some() => {
                let response = Response::content(ContentFormat::TEXT, "21.5");
                engine.respond_observable(id, "lounge-0001", response, now);
            }
            Output::Request { id, request, .. } => {
                black_box(&request.payload);
                engine.respond(id, Response::new(Code::CHANGED), now);
            }
            other => drop(black_box(other)),
        }
    }
    sent
}

fn post(criterion: &mut Criterion) {
    for count in [64, 10_000] {
        let mut engine = Engine::new(Settings::default());
        let peers = peers(count);
        let mut now = start();
        let mut datagrams: Vec<_> = (0..=u16::MAX).map(|id| request(POST, id)).collect();
        datagrams.rotate_left(1);
        let mut turns = peers.iter().cycle().zip(datagrams.iter().cycle());
        criterion.bench_function(&format!("POST round trip, {count} peers in turn"), |bencher| {
            bencher.iter(|| {
                let (peer, datagram) = turns.next().unwrap();
                now += Duration::from_micros(20);
                engine.receive(peer, datagram, now);
                assert_eq!(drain(&mut engine, now), 1);
                engine.timeout(now);
            });
        });
    }
}

fn notify(criterion: &mut Criterion) {
    const OBSERVERS: u32 = 10_000;
    let mut engine = Engine::new(Settings::default());
    let mut now = start();
    for peer in peers(OBSERVERS) {
        engine.receive(&peer, &request(GET, 1), now);
        drain(&mut engine, now);
    }
    let mut group = criterion.benchmark_group("notification");
    group.throughput(Throughput::Elements(OBSERVERS.into()));
    group.bench_function("to each of 10,000 observers", |bencher| {
        bencher.iter(|| {
            now += Duration::from_secs(1);
            engine.notify("lounge-0001", Response::content(ContentFormat::TEXT, "21.6"), now);
            assert_eq!(drain(&mut engine, now), u64::from(OBSERVERS));
            engine.timeout(now);
        });
    });
    group.finish();
}

fn hostile(criterion: &mut Criterion) {
    const DATAGRAMS: u32 = 10_000;
    let mut rng = StdRng::seed_from_u64(1);
    let mut datagram = || {
        let mut bytes = request(if rng.random() { GET } else { POST }, rng.random());
        for _ in 0..rng.random_range(1..4) {
            let place = rng.random_range(0..bytes.len());
            bytes[place] = rng.random();
        }
        bytes.truncate(rng.random_range(0..=bytes.len()));
        bytes
    };
    let datagrams: Vec<_> = (0..DATAGRAMS).map(|_| datagram()).collect();
    let mut engine = Engine::new(Settings::default());
    let mut now = start();
    let peers = peers(1_000_000);
    let mut peers = peers.iter().cycle();
    let mut group = criterion.benchmark_group("hostile");
    group.throughput(Throughput::Elements(DATAGRAMS.into()));
    group.bench_function("mutated datagrams, an address each", |bencher| {
        bencher.iter(|| {
            for (datagram, peer) in datagrams.iter().zip(&mut peers) {
                now += Duration::from_micros(5);
                engine.receive(peer, datagram, now);
                black_box(drain(&mut engine, now));
            }
            engine.timeout(now);
        });
    });
    group.finish();
}

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

criterion_group!(benches, post, notify, hostile);
criterion_main!(benches);
