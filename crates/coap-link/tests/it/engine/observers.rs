//! Observers and their notifications (RFC 7641).

use std::time::Duration;

use coap_link::{Code, ContentFormat, Output, Peer, Response, Settings};
use coap_lite::{CoapOption, MessageType, Packet};

use crate::engine::support::{GET, Node, block, local, message, remote, request};

fn value(text: &str) -> Response {
    Response::content(ContentFormat::TEXT, text.to_owned())
}

fn observe(id: u16, token: u8, action: u8) -> Packet {
    let mut packet = request(GET, id);
    packet.set_token(vec![token]);
    let action = if action == 0 { vec![] } else { vec![action] };
    packet.add_option(CoapOption::Observe, action);
    packet
}

/// Registers and returns the sequence number, if it observes now.
fn register(node: &mut Node, peer: &Peer, id: u16, token: u8) -> Option<u32> {
    node.receive(peer, &observe(id, token, 0));
    let (request, _) = node.asked();
    node.engine.respond_observable(request, "value", value("0"), node.now);
    node.only_sent().number(CoapOption::Observe)
}

#[test]
fn an_observer_is_told_of_each_change_in_order_under_its_token() {
    let mut node = Node::new(Settings::default());
    let mut last = register(&mut node, &local(), 1, 9).expect("it observes");
    for text in ["1", "2", "3"] {
        assert_eq!(node.engine.notify("value", value(text), node.now), 1);
        let sent = node.only_sent();
        assert_eq!((sent.kind(), sent.packet.get_token()), (MessageType::NonConfirmable, &[9][..]));
        assert_eq!(sent.packet.payload, text.as_bytes());
        let sequence = sent.number(CoapOption::Observe).unwrap();
        assert_eq!(sequence, last + 1);
        last = sequence;
    }
    assert_eq!(node.engine.notify("other", value("1"), node.now), 0);
    assert_eq!(node.sent(), []);
}

#[test]
fn every_tenth_notification_and_one_after_a_minute_asks_whether_the_observer_is_there() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    let kinds: Vec<_> = (0..12)
        .map(|_| {
            node.engine.notify("value", value("1"), node.now);
            let sent = node.only_sent();
            if sent.kind() == MessageType::Confirmable {
                node.receive(&local(), &message(MessageType::Acknowledgement, 0, sent.id()));
            }
            sent.kind()
        })
        .collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == MessageType::Confirmable).count(), 1);
    assert_eq!(kinds[9], MessageType::Confirmable);
    node.pass(Duration::from_secs(60));
    node.engine.notify("value", value("1"), node.now);
    assert_eq!(node.only_sent().kind(), MessageType::Confirmable);
}

#[test]
fn an_observer_leaves_by_asking_to_or_by_a_reset() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    node.receive(&local(), &observe(2, 9, 1));
    let outputs = node.outputs();
    assert!(matches!(&outputs[..], [Output::ObserverGone { .. }, Output::Request { .. }]), "{outputs:?}");
    assert_eq!(node.engine.observers("value"), 0);

    for confirm_every in [10, 1] {
        let mut node = Node::new(Settings { confirm_every, ..Settings::default() });
        register(&mut node, &local(), 1, 9);
        node.engine.notify("value", value("1"), node.now);
        let sent = node.only_sent();
        node.receive(&local(), &message(MessageType::Reset, 0, sent.id()));
        assert!(matches!(node.outputs()[..], [Output::ObserverGone { .. }]));
        assert_eq!(node.engine.notify("value", value("2"), node.now), 0);
    }
}

#[test]
fn an_observer_that_does_not_acknowledge_is_gone_with_all_that_it_observes() {
    let mut node = Node::new(Settings { confirm_every: 1, ..Settings::default() });
    register(&mut node, &local(), 1, 1);
    register(&mut node, &local(), 2, 2);
    node.engine.notify("value", value("1"), node.now);
    node.only_sent();
    let gone: Vec<_> = node
        .pass(Duration::from_secs(100))
        .into_iter()
        .filter(|(_, output)| matches!(output, Output::ObserverGone { .. }))
        .collect();
    assert_eq!((gone.len(), node.engine.memory_use().observers), (2, 0));
}

#[test]
fn newer_state_takes_the_place_of_what_is_sent_again() {
    let mut node = Node::new(Settings { confirm_every: 1, ..Settings::default() });
    register(&mut node, &local(), 1, 9);
    node.engine.notify("value", value("old"), node.now);
    let first = node.only_sent();
    node.engine.notify("value", value("newer"), node.now);
    node.engine.notify("value", value("newest"), node.now);
    assert_eq!(node.sent(), [], "one at a time");
    let again = node.sent_within(Duration::from_secs(3));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].packet.payload, b"newest");
    assert_ne!(again[0].id(), first.id(), "another message");
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, again[0].id()));
    assert_eq!(node.sent_within(Duration::from_secs(10)), []);
}

#[test]
fn what_changed_while_a_notification_was_under_way_is_told_after_it() {
    let mut node = Node::new(Settings { confirm_every: 2, ..Settings::default() });
    register(&mut node, &local(), 1, 9);
    node.engine.notify("value", value("1"), node.now);
    node.only_sent();
    node.engine.notify("value", value("2"), node.now);
    let confirmable = node.only_sent();
    node.engine.notify("value", value("3"), node.now);
    assert_eq!(node.sent(), []);
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, confirmable.id()));
    assert_eq!(node.only_sent().packet.payload, b"3");
}

#[test]
fn an_observer_of_many_things_hears_of_each_although_few_confirmable_messages_may_wait() {
    let settings = Settings { confirm_every: 1, queue_per_peer: 2, ..Settings::default() };
    let mut node = Node::new(settings);
    for token in 0..10 {
        register(&mut node, &local(), token.into(), token);
    }
    node.engine.notify("value", value("1"), node.now);
    let mut notified = Vec::new();
    while let [first, ..] = &node.sent()[..]
        .iter()
        .map(|sent| {
            notified.push(sent.packet.get_token().to_vec());
            sent.clone()
        })
        .filter(|sent| sent.kind() == MessageType::Confirmable)
        .collect::<Vec<_>>()[..]
    {
        node.receive(&local(), &message(MessageType::Acknowledgement, 0, first.id()));
    }
    notified.sort();
    assert_eq!(notified, (0..10).map(|token| vec![token]).collect::<Vec<_>>());
}

#[test]
fn the_end_of_a_session_ends_its_observations() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    register(&mut node, &remote(1), 1, 9);
    node.engine.closed(&local(), node.now);
    assert!(matches!(node.outputs()[..], [Output::ObserverGone { .. }]));
    assert_eq!(node.engine.observers("value"), 1);
}

#[test]
fn an_error_is_the_last_that_an_observer_hears() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    node.engine.notify("value", Response::new(Code::NOT_FOUND), node.now);
    let sent = node.only_sent();
    assert_eq!((sent.kind(), sent.code()), (MessageType::Confirmable, Code::NOT_FOUND));
    assert_eq!(sent.option(CoapOption::Observe), None);
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, sent.id()));
    assert!(matches!(node.outputs()[..], [Output::ObserverGone { .. }]));
}

#[test]
fn registering_again_under_the_same_token_renews_and_under_another_adds() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    register(&mut node, &local(), 2, 9);
    assert_eq!(node.engine.observers("value"), 1);
    register(&mut node, &local(), 3, 8);
    assert_eq!(node.engine.observers("value"), 2);
}

#[test]
fn the_sequence_goes_on_for_who_comes_back_after_all_were_gone() {
    let mut node = Node::new(Settings::default());
    register(&mut node, &local(), 1, 9);
    node.engine.notify("value", value("1"), node.now);
    let last = node.only_sent().number(CoapOption::Observe).unwrap();
    node.receive(&local(), &observe(2, 9, 1));
    node.outputs();
    assert!(register(&mut node, &local(), 3, 9).unwrap() >= last);
}

#[test]
fn beyond_the_bounds_a_request_is_answered_as_if_it_had_not_asked_to_observe() {
    let mut node = Node::new(Settings { observers: 5, observers_per_peer: 2, ..Settings::default() });
    let of_one = (1..=3).map(|token| register(&mut node, &local(), token.into(), token).is_some());
    assert_eq!(of_one.collect::<Vec<_>>(), [true, true, false]);
    let of_others = (1..=4).map(|number| register(&mut node, &remote(number), 1, 1).is_some());
    assert_eq!(of_others.collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(node.engine.memory_use().observers, 5);
}

#[test]
fn a_large_notification_is_the_first_block_in_the_size_that_the_observer_likes() {
    let mut node = Node::new(Settings::default());
    let mut packet = observe(1, 9, 0);
    packet.add_option(CoapOption::Block2, block(0, false, 2));
    node.receive(&local(), &packet);
    let (id, _) = node.asked();
    node.engine.respond_observable(id, "value", value("0"), node.now);
    assert_eq!(node.only_sent().number(CoapOption::Observe), Some(0));
    node.engine.notify("value", value(&"x".repeat(100)), node.now);
    let sent = node.only_sent();
    assert_eq!((sent.packet.payload.len(), sent.option(CoapOption::Block2)), (64, Some(block(0, true, 2))));
    assert!(sent.option(CoapOption::ETag).is_some());
}

#[test]
fn ten_thousand_observers_are_told_at_once_and_each_by_a_message_of_its_own() {
    let mut node = Node::new(Settings::default());
    for number in 0..10_000 {
        assert!(register(&mut node, &remote(number), 1, 1).is_some());
    }
    assert_eq!(node.engine.notify("value", value("1"), node.now), 10_000);
    let sent = node.sent();
    let peers: std::collections::HashSet<_> = sent.iter().map(|sent| &sent.peer).collect();
    assert_eq!((sent.len(), peers.len()), (10_000, 10_000));
}
