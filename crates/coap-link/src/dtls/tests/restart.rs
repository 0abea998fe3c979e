//! A peer that begins anew, and those who would like to begin in its name.

use std::time::Duration;

use super::super::{CloseReason, Limits, Output};
use super::net::{Fate, Net, address, credentials, peer};

const A: &str = "192.0.2.10:1000";

#[test]
fn a_peer_that_restarts_at_its_address_gets_a_new_session_and_the_old_one_ends_with_it() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    net.said.clear();
    // The client's old session is forgotten, as by a reboot.
    net.open(A, "sensor01");
    let replaced = Output::Closed { peer: peer(a, "sensor01"), reason: CloseReason::Replaced };
    assert_eq!(net.said, [replaced, Output::Opened { peer: peer(a, "sensor01") }]);
    net.client(a).send(b"again").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"again".to_vec())]);
    assert_eq!(net.server.sessions(), 1);
}

#[test]
fn an_address_may_change_hands() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    net.open(A, "sensor02");
    assert!(net.server.send(&peer(a, "sensor01"), b"x").is_err());
    assert!(net.server.send(&peer(a, "sensor02"), b"x").is_ok());
}

#[test]
fn forged_hellos_in_a_peers_name_cost_it_nothing_and_leave_no_state() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    let other = net.connect("192.0.2.66:1000", &credentials("sensor02", "secret-sensor02"));
    let hello = net.sent_by(other).pop().expect("a hello");
    net.clients.remove(&other);
    for _ in 0..1000 {
        net.inject(a, &hello);
    }
    // The answers reach the peer, which did not ask.
    net.settle();
    assert_eq!(net.server.handshakes(), 0);
    net.client(a).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"still here".to_vec())]);
}

#[test]
fn a_cookie_is_good_at_its_own_address_only_and_not_for_long() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    let hello = net.sent_by(a).get(1).cloned().expect("the hello with the cookie");
    // At the same address it is a late copy; it belongs to the session that came of it.
    net.inject(a, &hello);
    assert_eq!(net.server.handshakes(), 0);
    for elsewhere in ["192.0.2.10:1001", "192.0.2.66:1000"] {
        net.inject(address(elsewhere), &hello);
    }
    assert_eq!(net.server.handshakes(), 0);

    net.server.close_all();
    net.inject(a, &hello);
    assert_eq!(net.server.handshakes(), 1, "nothing stands there any more, and the cookie is good");
    net.pass(Duration::from_secs(200));
    net.inject(a, &hello);
    assert_eq!(net.server.handshakes(), 0, "it was too old");
}

#[test]
fn a_recorded_handshake_cannot_be_replayed() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    net.client(a).send(b"open the door").expect("open");
    net.settle();
    let recorded = net.sent_by(a);
    net.server.close_all();
    net.said.clear();
    net.clients.remove(&a);
    for datagram in &recorded {
        net.inject(a, datagram);
    }
    assert_eq!(net.plaintexts(), []);
    assert_eq!(net.server.sessions(), 0);
}

#[test]
fn the_old_session_goes_on_while_a_new_handshake_is_under_way() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    let old = net.clients.remove(&a).expect("a client");
    // Somebody who receives at the address begins, but has not the key.
    net.connect(A, &credentials("sensor01", "not the key"));
    net.settle();
    assert!(net.clients[&a].is_over());
    net.clients.insert(a, old);
    net.client(a).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"still here".to_vec())]);
}

#[test]
fn the_old_session_is_heard_while_a_new_handshake_waits() {
    let mut net = Net::new(Limits::default());
    let a = net.open(A, "sensor01");
    let old = net.clients.remove(&a).expect("a client");
    // The new one's second hello is answered, the answer lost.
    net.fates = [Fate::Deliver, Fate::Deliver, Fate::Deliver, Fate::Lose].into();
    net.connect(A, &credentials("sensor01", "secret-sensor01"));
    net.settle();
    let new = net.clients.insert(a, old).expect("a client");
    net.client(a).send(b"still here").expect("open");
    net.settle();
    assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"still here".to_vec())]);
    assert_eq!((net.server.sessions(), net.server.handshakes()), (1, 1));

    net.clients.insert(a, new);
    net.pass(Duration::from_secs(3));
    assert!(net.clients[&a].is_open(), "the new one goes on where it was");
}
