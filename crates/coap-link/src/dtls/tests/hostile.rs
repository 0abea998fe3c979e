//! Bytes from outside: none makes us panic, none but a peer's own ends its session, none leaves anything behind.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::session::{SessionError, catch_panic};
use super::super::{CloseReason, HandshakeFailure, Limits, Output};
use super::net::{Fate, Net, SERVER, address, credentials, peer};

const A: &str = "192.0.2.10:1000";
const B: &str = "192.0.2.11:1000";

/// Cuts, flips, repeats, swaps, joins: what a hostile sender can make of datagrams that it has seen.
fn mutate(rng: &mut StdRng, seen: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seen[rng.random_range(0..seen.len())].clone();
    for _ in 0..rng.random_range(1..=4) {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        let at = rng.random_range(0..length);
        match rng.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = rng.random(),
            3 => bytes.insert(at, rng.random()),
            4 => drop(bytes.remove(at)),
            5 => bytes.extend_from_slice(&seen[rng.random_range(0..seen.len())]),
            // The fields of headers: type, epoch, numbers, lengths.
            6 => {
                const TELLING: [u8; 9] = [0, 1, 2, 3, 0x14, 0x15, 0x16, 0x17, 0xFF];
                bytes[at % 25.min(length)] = TELLING[rng.random_range(0..TELLING.len())];
            }
            _ => {
                let other = &seen[rng.random_range(0..seen.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[other.len().min(at)..]);
            }
        }
    }
    bytes
}

/// A whole conversation, and what both ends sent in it.
fn conversation() -> (Net, SocketAddr) {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    net.client(a).send(b"21.5").expect("open");
    net.server.send(&peer(a, "sensor01"), b"thank you").expect("open");
    net.settle();
    (net, a)
}

#[test]
fn a_hundred_thousand_mutated_datagrams_do_no_harm_to_a_session() {
    let (mut net, a) = conversation();
    let seen = net.sent_by(a);
    net.said.clear();
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..100_000 {
        let datagram = mutate(&mut rng, &seen);
        let from = if rng.random_bool(0.9) { a } else { address(B) };
        net.server.receive(from, &datagram, net.now);
        while let Some(output) = net.server.poll() {
            assert!(matches!(output, Output::Send { .. } | Output::Refused { .. }), "{output:?}");
        }
    }
    assert_eq!(net.server.counts().refused.get("panicked"), None);
    net.client(a).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"still here".to_vec())]);
    net.pass(Duration::from_secs(100));
    assert_eq!(net.server.handshakes(), 0);
}

#[test]
fn thousands_of_mutated_handshakes_fail_or_succeed_and_harm_nobody_else() {
    let (mut net, a) = conversation();
    let (from_client, from_server) = (net.sent_by(a), net.sent_by(address(SERVER)));
    net.said.clear();
    let mut rng = StdRng::seed_from_u64(2);
    let credentials = credentials("sensor02", "secret-sensor02");
    let mut opened = 0;
    for number in 0..5_000_u32 {
        let b = net.connect(&format!("198.51.{}.{}:1000", number / 256, number % 256), &credentials);
        net.settle_with(&mut |to_server, datagram| {
            let mut arrives = VecDeque::from([datagram.to_vec()]);
            if rng.random_bool(0.3) {
                // Changed on its way; the true one comes before it, after it or not at all.
                let changed = mutate(&mut rng, &[datagram.to_vec()]);
                match rng.random_range(0..3) {
                    0 => arrives.push_back(changed),
                    1 => arrives.push_front(changed),
                    _ => arrives = [changed].into(),
                }
            }
            if rng.random_bool(0.2) {
                // Something made of another conversation.
                arrives.push_front(mutate(&mut rng, if to_server { &from_client } else { &from_server }));
            }
            arrives
        });
        opened += u32::from(net.client(b).is_open());
        net.clients.remove(&b);
        net.wire.clear();
    }
    assert!((500..4_500).contains(&opened), "{opened} opened: the mutations are too many or too few");
    let panicked = net.said.iter().chain(net.outputs.iter().map(|(_, output)| output)).filter(|output| {
        matches!(output, Output::Refused { reason: HandshakeFailure::Panicked, .. })
            || matches!(output, Output::Closed { reason: CloseReason::Panicked, .. })
    });
    assert_eq!(panicked.count(), 0);
    net.client(a).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"still here".to_vec())]);
    net.pass(Duration::from_secs(100));
    assert_eq!(net.server.handshakes(), 0);
}

/// The second hello of a client, its cookie good; the server has not seen it.
fn second_hello(net: &mut Net) -> Vec<u8> {
    net.fates = [Fate::Deliver, Fate::Deliver, Fate::Lose].into();
    let b = net.connect(B, &credentials("sensor02", "secret-sensor02"));
    net.settle();
    net.clients.remove(&b);
    net.sent_by(b).pop().expect("a second hello")
}

#[test]
fn a_hello_that_is_out_of_order_or_cannot_be_read_leaves_no_handshake() {
    let mut net = Net::new(Limits::default());
    let hello = second_hello(&mut net);
    for message_seq in [0, 2, 255] {
        let mut hello = hello.clone();
        hello[18] = message_seq;
        net.inject(address(B), &hello);
    }
    assert_eq!(net.server.counts().dropped, [("bad_hello", 3)].into());
    // The list of extensions is longer than the message.
    let mut unreadable = hello.clone();
    let extensions = hello.len() - 2 - 0x2D;
    assert_eq!(&hello[extensions..extensions + 2], [0, 0x2D]);
    unreadable[extensions + 1] += 1;
    net.inject(address(B), &unreadable);
    assert_eq!(net.server.counts().refused, [("broken", 1)].into());
    assert_eq!(net.server.handshakes(), 0);
    net.inject(address(B), &hello);
    assert_eq!(net.server.handshakes(), 1, "the true one still counts");
}

#[test]
fn a_handshake_holds_a_dozen_records_that_come_too_early_and_no_long_ones() {
    let mut net = Net::new(Limits::default());
    let hello = second_hello(&mut net);
    net.inject(address(B), &hello);
    let fragment = |number: u8, length: u16| {
        let record = (length + 12).to_be_bytes();
        let header = [22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, number, record[0], record[1]];
        let [high, low] = length.to_be_bytes();
        let message = [16, 0, high, low, 0, 3 + number, 0, 0, 0, 0, high, low];
        [&header[..], &message, &vec![7; length.into()]].concat()
    };
    net.inject(address(B), &fragment(0, 2000));
    assert_eq!(net.server.counts().dropped, [("too_long", 1)].into());
    for number in 0..12 {
        net.inject(address(B), &fragment(number, 100));
        assert_eq!(net.server.handshakes(), 1);
    }
    net.inject(address(B), &fragment(12, 100));
    assert_eq!(net.server.handshakes(), 0);
}

#[test]
fn a_panic_of_the_library_is_a_fault_like_any_other() {
    let error = catch_panic::<()>(|| panic!("a bug, as a test wants it"));
    assert!(matches!(error, Err(SessionError::Panicked)));
}

#[test]
fn every_short_datagram_is_dropped_without_a_trace() {
    let mut net = Net::new(Limits::default());
    let a = address(A);
    for length in 0..=2_u32 {
        for number in 0..256_u32.pow(length) {
            net.server.receive(a, &number.to_be_bytes()[(4 - length as usize)..], net.now);
        }
    }
    assert_eq!(net.server.poll(), None);
    assert_eq!((net.server.handshakes(), net.server.sessions()), (0, 0));
    assert_eq!(net.server.counts().dropped, [("not_dtls", 1 + 256 + 65_536)].into());
}
