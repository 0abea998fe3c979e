//! Observing others (RFC 7641), against notifications made by hand.

use std::time::Duration;

use coap_link::{Observe, Output, Request, RequestFailure, Settings, Token};
use coap_lite::{CoapOption, MessageType, Packet};

use crate::engine::client::{CONTENT, answer, ask, failure, get, only_output, payload, with};
use crate::engine::support::{Node, Sent, block, local, remote};

/// Observes; the answer has sequence number 5 and is fresh for 60 s.
fn observe(node: &mut Node) -> (Token, Sent) {
    let (token, sent) = ask(node, Request { observe: Some(Observe::Register), ..get() });
    assert_eq!(sent.option(CoapOption::Observe), Some(vec![]));
    node.receive(&local(), &with(answer(&sent, CONTENT, b"0"), CoapOption::Observe, vec![5]));
    assert!(matches!(only_output(node), Output::Response { observing: true, .. }));
    (token, sent)
}

fn notification(to: &Sent, id: u16, sequence: u8, text: &[u8]) -> Packet {
    let mut packet = with(answer(to, CONTENT, text), CoapOption::Observe, vec![sequence]);
    packet.header.set_type(MessageType::NonConfirmable);
    packet.header.message_id = id;
    packet
}

#[test]
fn notifications_are_told_in_order_and_late_ones_not() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = observe(&mut node);
    node.receive(&local(), &notification(&sent, 1, 7, b"7"));
    assert_eq!(payload(only_output(&mut node)), "7");
    node.receive(&local(), &notification(&sent, 2, 6, b"6"));
    assert_eq!(node.outputs(), []);
    node.pass(Duration::from_secs(50));
    let mut confirmable = notification(&sent, 3, 8, b"8");
    confirmable.header.set_type(MessageType::Confirmable);
    node.receive(&local(), &confirmable);
    assert_eq!(payload(only_output(&mut node)), "8");
}

#[test]
fn any_notification_is_newer_after_128_seconds() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = observe(&mut node);
    let long = with(notification(&sent, 1, 7, b"7"), CoapOption::MaxAge, vec![2, 0]);
    node.receive(&local(), &long);
    node.outputs();
    node.pass(Duration::from_secs(129));
    node.receive(&local(), &notification(&sent, 2, 1, b"rebooted"));
    assert_eq!(payload(only_output(&mut node)), "rebooted");
}

#[test]
fn what_is_observed_is_asked_for_again_when_it_is_stale() {
    let mut node = Node::new(Settings::default());
    let (token, _) = observe(&mut node);
    assert_eq!(node.sent_within(Duration::from_secs(65)), [], "fresh for 60 s, and 5 s more");
    let again = node.sent_within(Duration::from_secs(10));
    let again = again.first().expect("within 15 s more");
    assert_eq!(
        (again.packet.get_token(), again.option(CoapOption::Observe)),
        (token.as_bytes(), Some(vec![]))
    );
    // Nothing has changed, so neither has the number.
    node.receive(&local(), &with(answer(again, CONTENT, b"0"), CoapOption::Observe, vec![5]));
    assert!(matches!(only_output(&mut node), Output::Notification { .. }));
    assert_eq!(node.pass(Duration::from_secs(60)), [], "it goes on");
}

#[test]
fn an_observation_ends_with_an_answer_without_observe_an_error_or_silence() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = observe(&mut node);
    let mut plain = answer(&sent, CONTENT, b"last");
    plain.header.set_type(MessageType::NonConfirmable);
    node.receive(&local(), &plain);
    assert!(matches!(only_output(&mut node), Output::Response { result: Ok(_), observing: false, .. }));

    let mut node = Node::new(Settings::default());
    let (_, sent) = observe(&mut node);
    let mut gone = answer(&sent, 0x84, b"");
    gone.header.set_type(MessageType::NonConfirmable);
    node.receive(&local(), &gone);
    assert!(matches!(only_output(&mut node), Output::Response { result: Ok(_), observing: false, .. }));

    let mut node = Node::new(Settings::default());
    observe(&mut node);
    let (_, last) = node.pass(Duration::from_secs(300)).pop().unwrap();
    assert_eq!(failure(last), RequestFailure::TimedOut);
    assert_eq!(node.engine.memory_use().exchanges, 0);
}

#[test]
fn a_notification_in_blocks_is_fetched_under_another_token() {
    let mut node = Node::new(Settings::default());
    let (token, sent) = observe(&mut node);
    let first = with(notification(&sent, 1, 6, &[b'a'; 16]), CoapOption::Block2, block(0, true, 0));
    node.receive(&local(), &first);
    let fetch = node.only_sent();
    assert_ne!(fetch.packet.get_token(), token.as_bytes());
    assert_eq!(
        (fetch.option(CoapOption::Observe), fetch.option(CoapOption::Block2)),
        (None, Some(block(1, false, 0)))
    );
    node.receive(&local(), &with(answer(&fetch, CONTENT, b"b"), CoapOption::Block2, block(1, false, 0)));
    assert_eq!(payload(only_output(&mut node)), "aaaaaaaaaaaaaaaab");
    node.receive(&local(), &notification(&sent, 2, 7, b"next"));
    assert_eq!(payload(only_output(&mut node)), "next");
}

#[test]
fn a_newer_notification_takes_the_place_of_one_whose_blocks_are_still_fetched() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = observe(&mut node);
    let first = with(notification(&sent, 1, 6, &[b'a'; 16]), CoapOption::Block2, block(0, true, 0));
    node.receive(&local(), &first);
    let fetch = node.only_sent();
    node.receive(&local(), &notification(&sent, 2, 7, b"next"));
    assert_eq!(payload(only_output(&mut node)), "next");
    node.receive(&local(), &with(answer(&fetch, CONTENT, b"b"), CoapOption::Block2, block(1, false, 0)));
    assert_eq!(node.outputs(), []);
    assert_eq!(node.sent_within(Duration::from_secs(60)), [], "the fetch is not repeated");
}

#[test]
fn the_end_of_a_session_ends_what_was_asked_and_observed_in_it() {
    let mut node = Node::new(Settings::default());
    observe(&mut node);
    node.engine.request(&remote(1), get(), node.now).unwrap();
    node.sent();
    node.engine.closed(&local(), node.now);
    assert_eq!(failure(only_output(&mut node)), RequestFailure::Closed);
    assert_eq!(node.engine.memory_use().exchanges, 1, "other peers' go on");
}

#[test]
fn an_observation_that_is_cancelled_says_so_and_resets_what_still_comes() {
    let mut node = Node::new(Settings::default());
    let (token, sent) = observe(&mut node);
    node.engine.cancel(token, node.now);
    let goodbye = node.only_sent();
    assert_eq!(
        (goodbye.packet.get_token(), goodbye.option(CoapOption::Observe)),
        (token.as_bytes(), Some(vec![1]))
    );
    node.receive(&local(), &answer(&goodbye, CONTENT, b"0"));
    node.receive(&local(), &notification(&sent, 9, 9, b"late"));
    assert_eq!(node.only_sent().kind(), MessageType::Reset);
}
