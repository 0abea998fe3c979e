//! Handshakes end and sessions work although the network loses, repeats and reorders datagrams.

use std::time::Duration;

use proptest::prelude::*;

use super::super::Limits;
use super::net::{Fate, Net, credentials, peer};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![3 => Just(Fate::Deliver), 2 => Just(Fate::Lose), 1 => Just(Fate::Twice), 1 => Just(Fate::Late)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_peer_behind_a_bad_link_gets_its_session_within_two_attempts_once_the_link_is_good(
        fates in prop::collection::vec(fate(), 0..40),
    ) {
        let mut net = Net::new(Limits::default());
        net.fates = fates.into();
        let secret = credentials("sensor01", "secret-sensor01");
        let a = net.connect("192.0.2.10:1", &secret);
        net.pass(Duration::from_secs(90));
        if !net.clients[&a].is_open() {
            prop_assert!(net.clients[&a].is_over(), "an attempt ends");
            net.fates.clear();
            net.connect("192.0.2.10:1", &secret);
            net.pass(Duration::from_secs(90));
        }
        net.fates.clear();
        prop_assert!(net.clients[&a].is_open());
        net.client(a).send(b"21.5").expect("open");
        net.settle();
        prop_assert_eq!(net.plaintexts(), [(peer(a, "sensor01"), b"21.5".to_vec())]);
        prop_assert_eq!(net.server.sessions(), 1);
        prop_assert_eq!(net.server.handshakes(), 0);
    }

    #[test]
    fn over_a_bad_link_no_record_comes_twice_or_changed(
        fates in prop::collection::vec(fate(), 60),
        count in 1_u32..40,
    ) {
        let mut net = Net::new(Limits::default());
        let a = net.open("192.0.2.10:1", "sensor01");
        net.fates = fates.into();
        for number in 0..count {
            net.client(a).send(&number.to_be_bytes()).expect("open");
        }
        net.settle();
        let mut arrived: Vec<_> = net.plaintexts().into_iter().map(|(_, bytes)| bytes).collect();
        let total = arrived.len();
        arrived.sort();
        arrived.dedup();
        prop_assert_eq!(arrived.len(), total);
        let is_sent = |bytes: &Vec<u8>| u32::from_be_bytes(bytes.as_slice().try_into().expect("4 bytes")) < count;
        prop_assert!(arrived.iter().all(is_sent));
    }
}
