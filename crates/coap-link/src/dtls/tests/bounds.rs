//! Nothing grows without end, and those who pay for it are those who caused it.

use std::time::Duration;

use super::super::{CloseReason, HandshakeFailure, Limits, Output};
use super::net::{Fate, Net, address, credentials, peer};

const HOUR: Duration = Duration::from_secs(3600);

/// Begins a handshake at `from` that goes no further than the hello with its cookie.
fn half_open(net: &mut Net, from: &str) {
    // First hello, the request for the cookie, second hello; the answer is lost, and the client is gone.
    net.fates = [Fate::Deliver, Fate::Deliver, Fate::Deliver, Fate::Lose].into();
    let from = net.connect(from, &credentials("sensor01", "secret-sensor01"));
    net.settle();
    assert!(net.fates.is_empty());
    net.clients.remove(&from);
    net.now += Duration::from_millis(1);
}

fn crowded(net: &Net) -> Vec<String> {
    let address = |output: &Output| match output {
        Output::Refused { address, reason: HandshakeFailure::Crowded, .. } => Some(address.to_string()),
        _ => None,
    };
    net.said.iter().filter_map(address).collect()
}

#[test]
fn of_too_many_handshakes_the_oldest_goes_and_never_a_session() {
    let mut net = Net::new(Limits { half_open: 2, ..Limits::default() });
    net.open("192.0.2.10:1", "sensor01");
    for host in 11..=14 {
        half_open(&mut net, &format!("192.0.2.{host}:1"));
    }
    assert_eq!(net.server.handshakes(), 2);
    assert_eq!(crowded(&net), ["192.0.2.11:1", "192.0.2.12:1"]);
    assert_eq!(net.server.sessions(), 1);
}

#[test]
fn one_place_cannot_crowd_the_others_out() {
    let mut net = Net::new(Limits { half_open_per_source: 2, ..Limits::default() });
    half_open(&mut net, "192.0.2.11:1");
    half_open(&mut net, "[2001:db8::1]:1");
    for port in 1..=3 {
        half_open(&mut net, &format!("192.0.2.66:{port}"));
        half_open(&mut net, &format!("[2001:db8:0:6::{port}]:1"));
    }
    assert_eq!(crowded(&net), ["192.0.2.66:1", "[2001:db8:0:6::1]:1"]);
    assert_eq!(net.server.handshakes(), 6);
}

#[test]
fn a_handshake_that_goes_no_further_ends_when_its_time_is_over() {
    let mut net = Net::new(Limits { handshake: Duration::from_secs(120), ..Limits::default() });
    half_open(&mut net, "192.0.2.11:1");
    net.pass(Duration::from_secs(119));
    assert_eq!(net.server.handshakes(), 1);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.server.handshakes(), 0);
    assert_eq!(net.server.counts().refused, [("timeout", 1)].into());
    assert_eq!(net.server.next_deadline(), None);
}

#[test]
fn a_full_server_refuses_a_new_peer_until_a_session_has_been_silent_for_a_while() {
    let mut net = Net::new(Limits { sessions: 2, evict_after: HOUR, ..Limits::default() });
    let a = net.open("192.0.2.10:1", "sensor01");
    let b = net.open("192.0.2.11:1", "sensor02");
    net.pass(HOUR / 2);
    net.client(a).send(b"21.5").expect("open");
    net.settle();

    let c = net.connect("192.0.2.12:1", &credentials("sensor03", "secret-sensor03"));
    net.pass(Duration::from_secs(60));
    assert!(!net.clients[&c].is_open());
    assert!(net.server.counts().refused["full"] > 0);
    assert_eq!(net.server.handshakes(), 0);

    net.pass(HOUR / 2);
    net.open("192.0.2.12:1", "sensor03");
    assert!(net.said.contains(&Output::Closed { peer: peer(b, "sensor02"), reason: CloseReason::Evicted }));
    assert_eq!(net.server.sessions(), 2);
    assert!(net.clients[&b].is_over(), "it was notified");
    assert!(net.clients[&a].is_open());
}

#[test]
fn a_peer_of_a_full_server_can_begin_anew_at_its_address() {
    let mut net = Net::new(Limits { sessions: 1, ..Limits::default() });
    let a = net.open("192.0.2.10:1", "sensor01");
    net.open("192.0.2.10:1", "sensor01");
    assert!(net.server.send(&peer(a, "sensor01"), b"x").is_ok());
}

#[test]
fn one_identity_has_so_many_sessions_and_takes_none_from_others() {
    let mut net = Net::new(Limits { sessions_per_identity: 2, ..Limits::default() });
    net.open("192.0.2.10:1", "sensor02");
    for port in 1..=4 {
        net.open(&format!("192.0.2.66:{port}"), "sensor01");
        net.now += Duration::from_secs(1);
    }
    let evicted = |port| Output::Closed {
        peer: peer(address(&format!("192.0.2.66:{port}")), "sensor01"),
        reason: CloseReason::Evicted,
    };
    let closed: Vec<_> =
        net.said.iter().filter(|output| matches!(output, Output::Closed { .. })).cloned().collect();
    assert_eq!(closed, [evicted(1), evicted(2)]);
    assert_eq!(net.server.sessions(), 3);
}

#[test]
fn a_session_ends_after_long_silence_and_not_before() {
    let mut net = Net::new(Limits { idle: 24 * HOUR, ..Limits::default() });
    let a = net.open("192.0.2.10:1", "sensor01");
    net.pass(23 * HOUR);
    net.client(a).send(b"21.5").expect("open");
    net.pass(23 * HOUR);
    // What its keys do not open does not count as life.
    net.inject(a, b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x63\0\x18 no record that was ever sent");
    assert_eq!(net.server.sessions(), 1);
    net.pass(2 * HOUR);
    assert_eq!(
        net.said.last(),
        Some(&Output::Closed { peer: peer(a, "sensor01"), reason: CloseReason::Idle })
    );
    assert!(net.clients[&a].is_over(), "it was notified");
}

#[test]
fn an_owner_that_does_not_poll_makes_nothing_grow() {
    let mut net = Net::new(Limits::default());
    let a = net.connect("192.0.2.10:1", &credentials("sensor01", "secret-sensor01"));
    let hello = net.sent_by(a).pop().expect("a hello");
    for _ in 0..10_000 {
        net.server.receive(a, &hello, net.now);
    }
    let kept = std::iter::from_fn(|| net.server.poll()).count();
    assert!((4000..5000).contains(&kept), "{kept} outputs");
    assert!(net.server.counts().dropped["backlog"] > 5000);
}
