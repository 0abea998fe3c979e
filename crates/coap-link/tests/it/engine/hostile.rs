//! For any bytes: no panic, no growth, and an answer that fits (RFC 7252, 4.2): a reset, an error or silence.

use std::time::Duration;

use coap_link::{Code, ContentFormat, Output, Peer, Response, Settings};
use coap_lite::{CoapOption, MessageType};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::support::{GET, Node, POST, Sent, local, message, remote, request};

/// Narrow bounds, so that growth shows.
fn narrow() -> Settings {
    Settings {
        peers: 50,
        remembered_bytes: 10_000,
        open_requests: 20,
        assemblies: 10,
        assembly_bytes: 20_000,
        request_body: 5_000,
        kept_bodies: 10,
        kept_bytes: 20_000,
        observers: 20,
        observers_per_peer: 5,
        verified: 20,
        ..Settings::default()
    }
}

fn assert_bounded(node: &Node) {
    let held = node.engine.memory_use();
    assert!(held.peers <= 50 && held.open_requests <= 20 && held.observers <= 20, "{held:?}");
    assert!(held.remembered_bytes <= 10_000, "{held:?}");
    assert!(held.assemblies <= 10 && held.assembly_bytes <= 20_000 && held.verified <= 20, "{held:?}");
    assert!(held.kept_bodies <= 10 && held.kept_bytes <= 20_000 && held.exchanges <= 1, "{held:?}");
}

/// The owner answers every other request, at once, with something to follow and to cut.
fn answer_all(node: &mut Node, even: bool) -> Vec<Sent> {
    let mut sent = Vec::new();
    while let Some(output) = node.engine.poll() {
        match output {
            Output::Send { peer, bytes } => sent.push(Sent::new(peer, &bytes)),
            Output::Request { id, .. } if even => {
                let body = Response::content(ContentFormat::OCTETS, vec![7; 1_500]);
                node.engine.respond_observable(id, "value", body, node.now);
            }
            _ => {}
        }
    }
    sent
}

/// A reset of this message, its acknowledgement, or a plain message.
fn assert_fits(datagram: &[u8], sent: &[Sent]) {
    assert!(sent.len() <= 2, "{datagram:x?}: {sent:?}");
    for sent in sent {
        let kind = sent.kind();
        let same_id = datagram.get(2..4).is_some_and(|id| sent.id().to_be_bytes() == id);
        assert!(
            kind == MessageType::NonConfirmable || kind == MessageType::Confirmable || same_id,
            "{sent:?}"
        );
        assert!(sent.bytes.len() <= 1_152, "{}", sent.bytes.len());
    }
}

#[test]
fn every_datagram_of_up_to_three_bytes_is_met_with_silence() {
    let mut node = Node::new(Settings::default());
    node.receive_bytes(&local(), &[]);
    for length in 1..=3_u32 {
        for number in 0..256_u32.pow(length) {
            let bytes = number.to_be_bytes();
            node.engine.receive(&local(), &bytes[4 - length as usize..], node.now);
            assert!(node.engine.poll().is_none());
        }
    }
    assert_eq!(node.engine.memory_use(), coap_link::MemoryUse::default());
}

#[test]
fn every_header_with_and_without_a_byte_behind_it_gets_what_fits() {
    let mut node = Node::new(narrow());
    for first in 0..=255 {
        for code in 0..=255 {
            for rest in [&[][..], &[0xff], &[0x00], &[0xf0], &[0x0f], &[0xe0, 0xff]] {
                let mut datagram = vec![first, code, first, code];
                datagram.extend_from_slice(rest);
                node.receive_bytes(&local(), &datagram);
                let sent = answer_all(&mut node, true);
                assert_fits(&datagram, &sent);
                assert_bounded(&node);
                if first >> 6 != 1 {
                    assert_eq!(sent, [], "another version");
                }
            }
        }
    }
}

/// Datagrams that mean something, to be spoiled.
fn seeds() -> Vec<Vec<u8>> {
    let with = |code, options: &[(u16, &[u8])], payload: &[u8]| {
        let mut packet = request(code, 0x0102);
        for (number, value) in options {
            packet.add_option(CoapOption::from(*number), value.to_vec());
        }
        packet.payload = payload.to_vec();
        packet
    };
    let (block1, block2, observe, echo, tag, size1) = (27, 23, 6, 252, 292, 60);
    let mut packets = vec![
        with(POST, &[(12, &[110]), (15, b"a=b")], b"[{\"n\":\"t\",\"v\":1}]"),
        with(GET, &[(17, &[50]), (4, &[1, 2])], b""),
        with(GET, &[(observe, &[])], b""),
        with(GET, &[(observe, &[1])], b""),
        with(POST, &[(block1, &[0x08]), (size1, &[32])], &[0; 16]),
        with(POST, &[(block1, &[0x10])], &[0; 16]),
        with(POST, &[(block1, &[0xff, 0xff, 0xf0]), (tag, &[1])], &[0; 16]),
        with(GET, &[(block2, &[0x16])], b""),
        with(GET, &[(block2, &[0xff, 0xff, 0xf6])], b""),
        with(GET, &[(echo, &[7; 12])], b""),
        with(GET, &[(9_999, &[1])], b"x"),
        message(MessageType::Confirmable, 0x45, 9),
        message(MessageType::Acknowledgement, 0x45, 9),
        message(MessageType::Confirmable, 0, 9),
        message(MessageType::Acknowledgement, 0, 9),
        message(MessageType::Reset, 0, 9),
    ];
    let plain: Vec<_> = packets
        .iter()
        .map(|packet| {
            let mut plain = packet.clone();
            plain.header.set_type(MessageType::NonConfirmable);
            plain
        })
        .collect();
    packets.extend(plain);
    packets.iter().map(|packet| packet.to_bytes().unwrap()).collect()
}

fn mutate(rng: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..3) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                bytes.extend_from_slice(&other[rng.random_range(0..other.len())..]);
            }
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_spoiled_datagrams_from_many_peers_neither_stop_nor_fill_it() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut node = Node::new(narrow());
    let seeds = seeds();
    let mut most = coap_link::MemoryUse::default();
    let observed = coap_link::Request { observe: Some(coap_link::Observe::Register), ..request_of_ours() };
    for round in 0..100_000_u32 {
        if node.engine.memory_use().exchanges == 0 {
            node.engine.request(&local(), observed.clone(), node.now).ok();
            answer_all(&mut node, true);
        }
        let datagram = mutate(&mut rng, &seeds);
        let peer = if rng.random() { local() } else { remote(rng.random_range(0..200)) };
        if rng.random_bool(0.1) {
            node.engine.receive_multicast(&peer, &datagram, node.now);
        } else {
            node.receive_bytes(&peer, &datagram);
        }
        if rng.random_bool(0.1) {
            node.receive_bytes(&peer, &datagram);
        }
        answer_all(&mut node, round % 2 == 0);
        if round % 50 == 0 {
            node.engine.notify("value", Response::content(ContentFormat::TEXT, "1"), node.now);
        }
        if round % 100 == 0 {
            node.pass(Duration::from_millis(rng.random_range(0..3_000)));
        }
        assert_bounded(&node);
        let held = node.engine.memory_use();
        most.observers = most.observers.max(held.observers);
        most.assemblies = most.assemblies.max(held.assemblies);
        most.kept_bodies = most.kept_bodies.max(held.kept_bodies);
    }
    let counters = node.engine.counters();
    assert!(counters.malformed > 10_000 && counters.duplicates > 1_000, "{counters:?}");
    assert!(
        most.observers > 0 && most.assemblies > 0 && most.kept_bodies > 0,
        "spoiled, but not too much: {most:?}"
    );
    node.pass(Duration::from_secs(1_000));
    let held = node.engine.memory_use();
    assert_eq!((held.open_requests, held.assembly_bytes, held.kept_bytes), (0, 0, 0), "{held:?}");
    let ping = [0x40, 0, 0, 1];
    node.receive_bytes(&Peer::unsecured(([192, 0, 2, 1], 1).into()), &ping);
    assert_eq!(node.only_sent().bytes, [0x70, 0, 0, 1], "it still answers");
}

fn request_of_ours() -> coap_link::Request {
    coap_link::Request::new(coap_link::Method::Get, "value")
}

#[test]
fn a_flood_of_requests_that_nobody_answers_gets_no_room_and_takes_none() {
    let mut node = Node::new(narrow());
    let mut refused = 0;
    for number in 0..5_000_u16 {
        let [high, low] = number.to_be_bytes();
        node.receive_bytes(&remote(number), &[0x40, 1, high, low]);
        for sent in answer_all(&mut node, false) {
            refused += u32::from(sent.code() == Code::SERVICE_UNAVAILABLE);
        }
        assert_bounded(&node);
    }
    assert_eq!(refused, 4_980);
}
