//! A CoAP endpoint (crate coap-link) on datagrams one after the other: before each its length, and a byte that says
//! from which of four peers it comes, whether to a group, whether the owner answers, and whether time goes by.

use std::time::{Duration, Instant};

use coap_link::{ContentFormat, Engine, Method, Observe, Output, Peer, Request, Response, Settings};

/// Narrow, so that the fuzzer reaches the bounds.
fn settings() -> Settings {
    Settings {
        peers: 3,
        remembered_bytes: 3_000,
        open_requests: 4,
        assemblies: 3,
        assembly_bytes: 4_000,
        request_body: 2_000,
        kept_bodies: 3,
        kept_bytes: 4_000,
        observers: 4,
        observers_per_peer: 2,
        verified: 2,
        ..Settings::default()
    }
}

fn check(engine: &Engine) {
    let held = engine.memory_use();
    assert!(
        held.peers <= 3 && held.open_requests <= 4 && held.observers <= 4 && held.verified <= 2,
        "{held:?}"
    );
    assert!(held.remembered_bytes <= 3_000, "{held:?}");
    assert!(held.assemblies <= 3 && held.assembly_bytes <= 4_000, "{held:?}");
    assert!(held.kept_bodies <= 3 && held.kept_bytes <= 4_000 && held.exchanges <= 1, "{held:?}");
}

fn drain(engine: &mut Engine, answers: bool, now: Instant) {
    while let Some(output) = engine.poll() {
        match output {
            Output::Send { bytes, .. } => assert!(bytes.len() <= 1_200, "{}", bytes.len()),
            Output::Request { id, request, .. } if answers => {
                let body = if request.path.is_empty() { vec![7; 1_500] } else { b"21.5".to_vec() };
                engine.respond_observable(id, "value", Response::content(ContentFormat::OCTETS, body), now);
            }
            _ => {}
        }
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut engine = Engine::new(settings());
    let mut now = Instant::now();
    let peers = [[127, 0, 0, 1], [192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]];
    let peers = peers.map(|address| Peer::unsecured((address, 5683).into()));
    let observed = Request { observe: Some(Observe::Register), ..Request::new(Method::Get, "value") };
    engine.request(&peers[0], observed, now).expect("room for one");
    let mut rest = data;
    while let [length, how, behind @ ..] = rest {
        let (datagram, further) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = further;
        let peer = &peers[usize::from(how & 0b11)];
        if how & 0b100 == 0 {
            engine.receive(peer, datagram, now);
        } else {
            engine.receive_multicast(peer, datagram, now);
        }
        drain(&mut engine, how & 0b1000 == 0, now);
        if how & 0b1_0000 != 0 {
            engine.notify("value", Response::content(ContentFormat::TEXT, "22"), now);
        }
        now += Duration::from_secs(u64::from(how >> 5) * 7);
        engine.timeout(now);
        drain(&mut engine, true, now);
        check(&engine);
    }
    now += Duration::from_secs(1_000);
    for _ in 0..20 {
        engine.timeout(now);
        drain(&mut engine, true, now);
    }
    check(&engine);
    assert_eq!((engine.memory_use().assembly_bytes, engine.memory_use().kept_bytes), (0, 0));
}
