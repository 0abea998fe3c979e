//! A real node and a network, from the join to the next one.

use lorawan_device::nb_device::Response;
use lorawan_link::{Class, Outcome, Output, Settings};

use crate::node::Node;
use crate::support::{HERE, Host, dev_eui, otaa, settings};

fn joined(settings: Settings) -> (Host, Node) {
    let mut host = Host::new(settings);
    host.network.add(otaa(1), None);
    host.pull(HERE);
    let mut node = Node::new();
    assert!(node.join(&mut host), "{:?}", host.outputs);
    host.outputs();
    (host, node)
}

#[test]
fn a_node_joins_sends_and_has_its_confirmed_frame_answered() {
    let (mut host, mut node) = joined(settings());
    assert!(matches!(node.send(&mut host, b"21.5", false), Response::RxComplete | Response::ReadyToSend));
    let joined = host.outputs.iter().find(|output| matches!(output, Output::Joined { .. }));
    assert!(
        joined.is_some_and(|joined| matches!(joined, Output::Joined { device, .. } if *device == dev_eui(1)))
    );
    let uplink = host.only_uplink();
    assert_eq!((uplink.f_cnt, uplink.data.unwrap().payload), (0, b"21.5".to_vec()));
    host.pass(10_000);
    let response = node.send(&mut host, b"alarm", true);
    assert!(matches!(response, Response::DownlinkReceived(_)), "{response:?}");
    assert_eq!(host.only_uplink().data.unwrap().payload, b"alarm");
}

#[test]
fn a_node_whose_confirmed_frame_nobody_heard_is_told_nothing() {
    let (mut host, mut node) = joined(settings());
    host.network.remove(dev_eui(1));
    let response = node.send(&mut host, b"alarm", true);
    assert!(matches!(response, Response::NoAck), "{response:?}");
}

#[test]
fn a_downlink_reaches_a_node_behind_its_next_frame() {
    let (mut host, mut node) = joined(settings());
    let id = host.send(b"valve open", false);
    node.send(&mut host, b"21.5", false);
    assert_eq!(node.downlink(), Some((5, b"valve open".to_vec())));
    assert_eq!(host.outcomes(), [(id, Outcome::Sent)]);
    host.pass(10_000);
    let id = host.send(b"valve shut", true);
    node.send(&mut host, b"21.5", false);
    assert_eq!(node.downlink(), Some((5, b"valve shut".to_vec())));
    host.pass(10_000);
    node.send(&mut host, b"21.5", false);
    assert_eq!(host.outcomes(), [(id, Outcome::Sent), (id, Outcome::Acknowledged)]);
}

#[test]
fn a_node_joins_again_and_again_and_is_the_same_device() {
    let (mut host, mut node) = joined(settings());
    let mut addresses = Vec::new();
    for round in 0..5_u8 {
        node.send(&mut host, &[round], false);
        let uplink = host.only_uplink();
        assert_eq!((uplink.device, uplink.data.unwrap().payload), (dev_eui(1), vec![round]));
        addresses.push(uplink.address);
        host.pull(HERE);
        assert!(node.join(&mut host));
        host.pass(10_000);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 5, "each session has an address of its own");
    assert!(host.refusals().is_empty());
}

#[test]
fn a_node_does_not_notice_that_the_gateway_was_started_anew() {
    let (mut host, mut node) = joined(settings());
    for round in 0..6_u8 {
        host.send(&[round], false);
        node.send(&mut host, b"21.5", true);
        assert_eq!(node.downlink(), Some((5, vec![round])));
        assert_eq!(host.uplinks().len(), 1);
        let state = host.network.state(dev_eui(1)).unwrap();
        let stored = serde_json::to_string(state).unwrap();
        let millis = host.millis + 60_000;
        host = Host::new(settings());
        host.pass(millis);
        host.network.add(otaa(1), Some(serde_json::from_str(&stored).unwrap()));
        host.pull(HERE);
        host.outputs();
    }
}

#[test]
fn a_node_listens_where_the_accept_says() {
    let settings = settings();
    let rx = lorawan_link::RxParameters { delay: 3, ..settings.rx };
    let (mut host, mut node) = joined(Settings { rx, ..settings });
    host.network.add(
        lorawan_link::DeviceConfig { class: Class::A, ..otaa(1) },
        host.network.state(dev_eui(1)).cloned(),
    );
    node.send(&mut host, b"21.5", true);
    host.pass(10_000);
    let response = node.send(&mut host, b"21.5", true);
    assert!(matches!(response, Response::DownlinkReceived(_)), "{response:?}");
}
