//! Sessions open, carry plaintext, and end.

use std::time::Duration;

use super::super::{CloseReason, HandshakeFailure, Limits, Output, SendError};
use super::net::{Fate, Net, SERVER, address, credentials, peer};
use crate::Identity;

const A: &str = "192.0.2.10:1000";
const B: &str = "192.0.2.11:1000";

#[test]
fn a_handshake_opens_a_session_that_carries_plaintext_both_ways() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    assert_eq!(net.said, [Output::Opened { peer: peer(a, "sensor01") }]);
    net.client(a).send(b"21.5").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"21.5".to_vec())]);
    net.server.send(&peer(a, "sensor01"), b"thank you").expect("open");
    net.settle();
    let expected = Output::Plain { peer: peer(address(SERVER), "sensor01"), bytes: b"thank you".to_vec() };
    assert_eq!(net.outputs.last(), Some(&(a, expected)));
}

#[test]
fn the_answer_to_a_hello_repeats_its_record_number() {
    let mut net = Net::new(Limits::default());
    // The first request for a cookie is lost, so the client's second hello is its third record.
    net.fates = [Fate::Deliver, Fate::Lose].into();
    let a = net.connect(A, &credentials("sensor01", "secret-sensor01"));
    net.pass(Duration::from_secs(3));
    assert!(net.clients[&a].is_open());
    let numbers: Vec<u8> = net.sent_by(address(SERVER)).iter().map(|datagram| datagram[10]).collect();
    assert_eq!(numbers, [0, 1, 2, 4], "two cookies, ServerHello (with ServerHelloDone), ChangeCipherSpec");
}

#[test]
fn a_wrong_key_and_an_unknown_identity_look_alike_and_hurt_nobody_else() {
    let mut net = Net::new(Limits::default());
    let good = net.open(A, "sensor01");
    let mut answers = Vec::new();
    for (from, identity) in [(B, "sensor02"), ("192.0.2.12:1000", "sensor99")] {
        let from = net.connect(from, &credentials(identity, "not the key"));
        net.settle();
        let refused = net.outputs.last().cloned();
        assert!(
            matches!(
                refused,
                Some((_, Output::Refused { reason: HandshakeFailure::Alert { description: 51 }, .. }))
            ),
            "{refused:?}"
        );
        let to: Vec<_> = net.wire.iter().filter(|(_, to, _)| *to == from).map(|(.., bytes)| bytes).collect();
        // Lengths, and the alert to the last byte; the hello has random bytes.
        answers.push((to.iter().map(|bytes| bytes.len()).collect::<Vec<_>>(), to.last().copied().cloned()));
    }
    assert_eq!(answers[0], answers[1]);
    let identity = Some(Identity::from("sensor02"));
    assert!(net.said.contains(&Output::Refused {
        address: address(B),
        identity,
        reason: HandshakeFailure::WrongKey
    }));
    let identity = Some(Identity::from("sensor99"));
    let unknown = HandshakeFailure::UnknownIdentity;
    let there = address("192.0.2.12:1000");
    assert!(net.said.contains(&Output::Refused { address: there, identity, reason: unknown }));
    assert_eq!(net.server.counts().refused, [("unknown_identity", 1), ("wrong_key", 1)].into());
    assert_eq!(net.server.handshakes(), 0);

    net.client(good).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(good, "sensor01"), b"still here".to_vec())]);
}

#[test]
fn a_client_without_the_extended_master_secret_is_told_so() {
    const EXTENSION: [u8; 4] = [0, 23, 0, 0];
    let mut net = Net::new(Limits::default());
    let a = net.connect(A, &credentials("sensor01", "secret-sensor01"));
    net.settle_with(&mut |to_server, datagram| {
        let mut datagram = datagram.to_vec();
        // It is the last one of our hellos; a number that means nothing takes its place.
        if to_server && datagram.ends_with(&EXTENSION) {
            let at = datagram.len() - 4;
            datagram[at..].copy_from_slice(&[0x77, 0x77, 0, 0]);
        }
        [datagram].into()
    });
    let refused =
        Output::Refused { address: a, identity: None, reason: HandshakeFailure::NoExtendedMasterSecret };
    assert_eq!(net.said, [refused]);
    assert!(matches!(
        net.outputs.last(),
        Some((_, Output::Refused { reason: HandshakeFailure::Alert { description: 40 }, .. }))
    ));
}

#[test]
fn a_repeated_hello_belongs_to_the_handshake_that_it_began() {
    let mut net = Net::new(Limits::default());
    net.fates = [Fate::Deliver, Fate::Deliver, Fate::Twice].into();
    net.open(A, "sensor01");
}

#[test]
fn a_client_hears_only_its_server() {
    let mut net = Net::new(Limits::default());
    let a = net.connect(A, &credentials("sensor01", "secret-sensor01"));
    let (from, to, hello) = net.wire[0].clone();
    net.server.receive(from, &hello, net.now);
    let Some(Output::Send { bytes, .. }) = net.server.poll() else { panic!("no request for a cookie") };
    let now = net.now;
    net.client(a).receive(address(B), &bytes, now);
    assert_eq!(net.client(a).poll(), None);
    net.client(a).receive(to, &bytes, now);
    assert!(net.client(a).poll().is_some());
}

#[test]
fn a_replayed_record_is_dropped() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    net.client(a).send(b"once").expect("open");
    net.settle();
    let record = net.sent_by(a).pop().expect("the record");
    for _ in 0..3 {
        net.inject(a, &record);
    }
    // Another peer cannot use it either.
    net.inject(address(B), &record);
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"once".to_vec())]);
    assert_eq!(net.server.counts().dropped, [("no_session", 1)].into());
}

#[test]
fn a_good_bye_ends_the_session_on_both_sides() {
    let mut net = Net::new(Limits::default());
    let (a, b) = (net.open(A, "sensor01"), net.open(B, "sensor02"));
    net.client(a).close();
    net.server.close(&peer(b, "sensor02"));
    net.settle();
    assert!(net.said.contains(&Output::Closed { peer: peer(a, "sensor01"), reason: CloseReason::ByPeer }));
    assert!(net.said.contains(&Output::Closed { peer: peer(b, "sensor02"), reason: CloseReason::Here }));
    let by_server = Output::Closed { peer: peer(address(SERVER), "sensor02"), reason: CloseReason::ByPeer };
    assert!(net.outputs.contains(&(b, by_server)));
    assert_eq!(net.server.sessions(), 0);
    let gone = peer(a, "sensor01");
    assert_eq!(net.server.send(&gone, b"x"), Err(SendError::NoSession { peer: gone }));
    assert!(matches!(net.client(a).send(b"x"), Err(SendError::NoSession { .. })));
    assert_eq!(net.server.next_deadline(), None);
}

#[test]
fn closing_all_tells_every_peer() {
    let mut net = Net::new(Limits::default());
    let (a, b) = (net.open(A, "sensor01"), net.open(B, "sensor02"));
    net.server.close_all();
    net.settle();
    assert!(net.clients[&a].is_over() && net.clients[&b].is_over());
}

#[test]
fn a_client_without_a_server_gives_up_with_a_reason() {
    let mut net = Net::new(Limits::default());
    net.fates = vec![Fate::Lose; 100].into();
    let a = net.connect(A, &credentials("sensor01", "secret-sensor01"));
    net.pass(Duration::from_secs(60));
    assert!(net.clients[&a].is_over());
    assert!(matches!(
        net.outputs.last(),
        Some((_, Output::Refused { reason: HandshakeFailure::Timeout, .. }))
    ));
    assert_eq!(net.sent_by(a).len(), 5, "the hello, and four times again");
    assert_eq!(net.clients[&a].next_deadline(), None);
}

#[test]
fn what_is_too_long_for_a_record_is_refused_and_the_longest_arrives() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    let longest = vec![7; 16384];
    net.client(a).send(&longest).expect("fits");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), longest)]);
    let too_long = Err(SendError::TooLong { length: 16385, most: 16384 });
    assert_eq!(net.client(a).send(&[7; 16385]), too_long);
    assert_eq!(net.server.send(&peer(a, "sensor01"), &[7; 16385]), too_long);
}

#[test]
fn a_session_is_sent_to_only_under_the_identity_that_opened_it() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    assert!(net.server.send(&peer(a, "sensor02"), b"x").is_err());
    assert!(net.server.send(&crate::Peer::unsecured(a), b"x").is_err());
    net.server.close(&peer(a, "sensor02"));
    assert_eq!(net.server.sessions(), 1);
}
