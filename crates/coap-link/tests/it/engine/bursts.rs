//! Many requests of one peer while the owner is slow: each is done once, and none that was acknowledged stays without
//! its answer.

use std::collections::HashSet;
use std::time::Duration;

use coap_lite::MessageType::{Acknowledgement, Confirmable};
use coap_lite::Packet;

use coap_link::{Code, ETag, RequestId, Response, Settings};

use crate::engine::support::{GET, Node, POST, Sent, message, plain_request, remote, request};

/// A POST whose token is its message id, so that its answer is known again.
fn post(id: u16) -> Packet {
    let mut packet = request(POST, id);
    packet.set_token(id.to_be_bytes().to_vec());
    packet
}

fn burst(node: &mut Node, count: u16) -> Vec<RequestId> {
    let ask = |id| {
        node.receive(&remote(1), &post(id));
        node.asked().0
    };
    (0..count).map(ask).collect()
}

fn tokens<'a>(sent: impl IntoIterator<Item = &'a Sent>, code: Code) -> Vec<Vec<u8>> {
    sent.into_iter().filter(|sent| sent.code() == code).map(|sent| sent.packet.get_token().to_vec()).collect()
}

/// Acknowledges what asks for it, until nothing more comes.
fn hear_all(node: &mut Node) -> Vec<Sent> {
    let mut received = Vec::new();
    loop {
        let sent = node.sent();
        if sent.is_empty() {
            return received;
        }
        for confirmable in sent.iter().filter(|sent| sent.kind() == Confirmable) {
            node.receive(&remote(1), &message(Acknowledgement, 0, confirmable.id()));
        }
        received.extend(sent);
    }
}

#[test]
fn a_burst_of_40_that_waits_for_a_slow_owner_gets_40_answers() {
    let mut node = Node::new(Settings::default());
    let asked = burst(&mut node, 40);
    let acknowledged = node.sent_within(Duration::from_secs(2));
    let most = Settings::default().queue_per_peer;
    assert_eq!(acknowledged.len(), most, "no more are promised an answer than may wait to be sent");
    // The others are sent again, and wait on.
    for id in 0..40 {
        node.receive(&remote(1), &post(id));
    }
    assert_eq!(node.sent().len(), most, "an acknowledgement comes again, and nothing is asked twice");
    for id in asked {
        node.engine.respond(id, Response::new(Code::CHANGED), node.now);
    }
    let answered = tokens(&hear_all(&mut node), Code::CHANGED);
    assert_eq!((answered.len(), answered.iter().collect::<HashSet<_>>().len()), (40, 40));
    assert_eq!(node.engine.counters().dropped, 0);
    // All places are free again.
    (100..140).for_each(|id| node.receive(&remote(1), &post(id)));
    node.outputs();
    assert_eq!(node.sent_within(Duration::from_secs(2)).len(), most);
}

#[test]
fn notifications_take_no_place_that_was_promised_to_an_answer() {
    let mut node = Node::new(Settings { queue_per_peer: 2, confirm_every: 1, ..Settings::default() });
    let mut observe = request(GET, 900);
    observe.add_option(coap_lite::CoapOption::Observe, Vec::new());
    for token in 0..4_u8 {
        observe.header.message_id += 1;
        observe.set_token(vec![token]);
        node.receive(&remote(1), &observe);
        let (id, _) = node.asked();
        node.engine.respond_observable(id, "value", Response::new(Code::CONTENT), node.now);
        node.only_sent();
    }
    let asked = burst(&mut node, 2);
    assert_eq!(node.sent_within(Duration::from_secs(1)).len(), 2, "both are acknowledged");
    let news = Response { etag: ETag::new(b"new"), ..Response::new(Code::CONTENT) };
    assert_eq!(node.engine.notify("value", news, node.now), 4);
    for id in asked {
        node.engine.respond(id, Response::new(Code::CHANGED), node.now);
    }
    assert_eq!(tokens(&hear_all(&mut node), Code::CHANGED).len(), 2);
    assert_eq!(node.engine.counters().dropped, 0);
}

#[test]
fn a_request_that_waits_is_known_again_however_many_others_came_since() {
    let mut node = Node::new(Settings { remembered_per_peer: 4, ..Settings::default() });
    node.receive(&remote(1), &post(1));
    node.asked();
    for id in 100..110 {
        node.exchange(&remote(1), &request(GET, id), Response::new(Code::CONTENT));
    }
    node.receive(&remote(1), &post(1));
    assert_eq!(node.outputs(), [], "it is not done again");
}

#[test]
fn of_one_peer_no_more_requests_wait_than_are_remembered() {
    let mut node = Node::new(Settings { remembered_per_peer: 4, ..Settings::default() });
    let asked = burst(&mut node, 4);
    node.receive(&remote(1), &post(5));
    assert_eq!(node.only_sent().code(), Code::SERVICE_UNAVAILABLE);
    assert_eq!((node.engine.counters().refused, node.engine.counters().lost), (1, 0), "it comes again");
    // What is not sent again and was to change something is lost.
    node.receive(&remote(1), &plain_request(GET, 6));
    node.receive(&remote(1), &plain_request(POST, 7));
    assert!(node.sent().iter().all(|sent| sent.code() == Code::SERVICE_UNAVAILABLE));
    assert_eq!((node.engine.counters().refused, node.engine.counters().lost), (3, 1));
    // Others have their own places.
    node.receive(&remote(2), &post(5));
    node.asked();
    node.engine.respond(asked[0], Response::new(Code::CHANGED), node.now);
    node.only_sent();
    node.receive(&remote(1), &post(5));
    node.asked();
}

#[test]
fn a_peer_whose_request_waits_is_not_forgotten_for_others() {
    let mut node = Node::new(Settings { peers: 2, remembered_bytes: 8, ..Settings::default() });
    node.receive(&remote(1), &post(1));
    node.asked();
    for other in 2..20 {
        let answer = Response { payload: "more than eight bytes".into(), ..Response::new(Code::CONTENT) };
        node.exchange(&remote(other), &request(GET, 1), answer);
    }
    node.receive(&remote(1), &post(1));
    assert_eq!(node.outputs(), [], "it is not done again");
}
