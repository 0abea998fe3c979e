//! The message layer and the rules for options (RFC 7252).

use std::time::Duration;

use coap_link::{Code, ContentFormat, EXCHANGE_LIFETIME, Method, Output, Response, Settings};
use coap_lite::{CoapOption, MessageType};

use crate::engine::support::{GET, Node, POST, block, local, message, plain_request, remote, request};

fn changed() -> Response {
    Response::new(Code::CHANGED)
}

#[test]
fn a_ping_is_answered_with_a_reset() {
    let mut node = Node::new(Settings::default());
    node.receive_bytes(&local(), &[0x40, 0, 0x12, 0x34]);
    assert_eq!(node.only_sent().bytes, [0x70, 0, 0x12, 0x34]);
}

#[test]
fn an_empty_message_that_is_no_ping_is_not_answered() {
    let mut node = Node::new(Settings::default());
    for first in [0x50, 0x60, 0x70] {
        node.receive_bytes(&local(), &[first, 0, 0x12, 0x34]);
    }
    assert_eq!(node.sent(), []);
}

#[test]
fn a_confirmable_message_against_the_format_is_reset_and_any_other_dropped() {
    let broken: [&[u8]; 9] = [
        &[0x49, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], // a token of 9 bytes
        &[0x4f, 1, 0, 1],                            // a token length that is reserved
        &[0x48, 1, 0, 1, 0xaa],                      // a token that is cut off
        &[0x40, 1, 0, 1, 0x0f],                      // an option length that is reserved
        &[0x40, 1, 0, 1, 0xf0],                      // an option delta that is reserved
        &[0x40, 1, 0, 1, 0xb5, b'a'],                // an option that is cut off
        &[0x40, 1, 0, 1, 0xe0, 0xff, 0xff],          // an option number above 65,535
        &[0x40, 1, 0, 1, 0xff],                      // a payload marker without a payload
        &[0x40, 0, 0, 1, 0xff, 1],                   // an empty message with bytes behind it
    ];
    for datagram in broken {
        let mut node = Node::new(Settings::default());
        node.receive_bytes(&local(), datagram);
        assert_eq!(node.only_sent().bytes, [0x70, 0, 0, 1], "{datagram:x?}");
        for kind in [0x10, 0x20, 0x30] {
            let mut other = datagram.to_vec();
            other[0] |= kind;
            node.receive_bytes(&local(), &other);
            assert_eq!(node.sent(), [], "{other:x?}");
        }
        assert_eq!(node.engine.counters().malformed, 4);
    }
}

#[test]
fn an_option_may_end_in_the_byte_of_the_payload_marker() {
    let mut node = Node::new(Settings::default());
    node.receive_bytes(&local(), &[0x40, 1, 0, 1, 0x41, 0xff]);
    let (_, request) = node.asked();
    assert_eq!(request.method, Method::Get);
}

#[test]
fn another_version_and_less_than_a_header_are_not_answered() {
    let mut node = Node::new(Settings::default());
    for datagram in [&[0x00, 1, 0, 1][..], &[0x80, 1, 0, 1], &[0xc0, 1, 0, 1], &[0x40, 1, 0], &[]] {
        node.receive_bytes(&local(), datagram);
        assert_eq!(node.sent(), []);
    }
}

#[test]
fn a_code_of_a_reserved_class_and_a_response_to_nothing_are_reset() {
    let mut node = Node::new(Settings::default());
    for code in [0x20, 0x45, 0x60, 0xc0, 0xff] {
        node.receive(&local(), &message(MessageType::Confirmable, code, u16::from(code)));
        assert_eq!(node.only_sent().bytes, [0x70, 0, 0, code]);
    }
}

#[test]
fn a_quick_answer_rides_on_the_acknowledgement() {
    let mut node = Node::new(Settings::default());
    let sent = node.exchange(&local(), &request(POST, 7), changed());
    assert_eq!((sent.kind(), sent.code(), sent.id()), (MessageType::Acknowledgement, Code::CHANGED, 7));
    assert_eq!(sent.packet.get_token(), [0xaa, 0xbb]);
}

#[test]
fn a_plain_request_gets_a_plain_answer_with_a_message_id_of_ours() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&local(), &plain_request(POST, 7), changed());
    let second = node.exchange(&local(), &plain_request(POST, 8), changed());
    assert_eq!((first.kind(), second.kind()), (MessageType::NonConfirmable, MessageType::NonConfirmable));
    assert_eq!(second.id(), first.id().wrapping_add(1));
}

#[test]
fn a_request_that_comes_again_is_answered_again_and_not_done_again() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&local(), &request(POST, 7), changed());
    node.pass(EXCHANGE_LIFETIME - Duration::from_millis(1));
    node.receive(&local(), &request(POST, 7));
    assert_eq!(node.only_sent().bytes, first.bytes);
    node.receive(&remote(1), &request(POST, 7));
    assert_eq!(node.asked().1.path, ["value"], "another peer's message is another");
    assert_eq!(node.engine.counters().duplicates, 1);
}

#[test]
fn a_message_id_is_new_again_after_the_exchange_lifetime() {
    let mut node = Node::new(Settings::default());
    node.exchange(&local(), &request(POST, 7), changed());
    node.pass(EXCHANGE_LIFETIME);
    assert_eq!(node.engine.memory_use().peers, 0);
    node.exchange(&local(), &request(POST, 7), changed());
    assert_eq!(node.engine.counters().duplicates, 0);
}

#[test]
fn another_message_under_an_id_that_was_used_is_new_as_from_a_device_that_was_started_again() {
    let mut node = Node::new(Settings::default());
    let mut packet = request(POST, 7);
    node.exchange(&local(), &packet, changed());
    packet.payload = b"2".to_vec();
    let second = node.exchange(&local(), &packet, Response::new(Code::CREATED));
    node.receive(&local(), &packet);
    assert_eq!(node.only_sent().bytes, second.bytes);
    assert_eq!(second.code(), Code::CREATED);
}

#[test]
fn a_repeated_plain_request_is_neither_done_nor_answered_again() {
    let mut node = Node::new(Settings::default());
    node.exchange(&local(), &plain_request(POST, 7), changed());
    node.receive(&local(), &plain_request(POST, 7));
    assert_eq!(node.sent(), []);
}

#[test]
fn a_slow_answer_follows_its_acknowledgement_and_is_sent_until_it_arrives() {
    let mut node = Node::new(Settings::default());
    node.receive(&local(), &request(POST, 7));
    let (id, _) = node.asked();
    let acknowledged = node.sent_within(Duration::from_secs(1));
    assert_eq!(acknowledged.iter().map(|sent| &sent.bytes[..]).collect::<Vec<_>>(), [[0x60, 0, 0, 7]]);
    node.receive(&local(), &request(POST, 7));
    assert_eq!(node.only_sent().bytes, [0x60, 0, 0, 7], "a repeated request is acknowledged again");

    node.engine.respond(id, changed(), node.now);
    let first = node.only_sent();
    assert_eq!((first.kind(), first.code()), (MessageType::Confirmable, Code::CHANGED));
    let again = node.sent_within(Duration::from_secs(10));
    assert_eq!(again.len(), 2, "after 2 to 3 s and 4 to 6 s more");
    assert!(again.iter().all(|sent| sent.bytes == first.bytes));
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, first.id()));
    assert_eq!(node.sent_within(Duration::from_secs(100)), []);
}

#[test]
fn a_separate_answer_that_nobody_acknowledges_is_given_up_after_four_more() {
    let mut node = Node::new(Settings::default());
    node.receive(&local(), &request(POST, 7));
    let (id, _) = node.asked();
    node.pass(Duration::from_secs(1));
    node.engine.respond(id, changed(), node.now);
    node.only_sent();
    assert_eq!(node.sent_within(Duration::from_secs(100)).len(), 4);
    assert_eq!(node.engine.counters().timed_out, 1);
}

#[test]
fn only_one_confirmable_message_at_a_time_is_on_its_way_to_a_peer() {
    let mut node = Node::new(Settings::default());
    let ids: Vec<_> = (0..3)
        .map(|number| {
            node.receive(&local(), &request(POST, number));
            node.asked().0
        })
        .collect();
    node.pass(Duration::from_secs(1));
    for id in ids {
        node.engine.respond(id, changed(), node.now);
    }
    for _ in 0..3 {
        let sent = node.only_sent();
        node.receive(&local(), &message(MessageType::Acknowledgement, 0, sent.id()));
    }
    assert_eq!(node.sent(), []);
}

#[test]
fn a_request_that_its_owner_forgets_is_given_up_and_counted() {
    let mut node = Node::new(Settings::default());
    node.receive(&local(), &request(GET, 1));
    let (id, _) = node.asked();
    node.pass(Duration::from_secs(30));
    assert_eq!((node.engine.memory_use().open_requests, node.engine.counters().unanswered), (0, 1));
    node.engine.respond(id, changed(), node.now);
    assert_eq!(node.sent(), []);
}

#[test]
fn beyond_the_bound_of_open_requests_there_is_no_room_for_now() {
    let mut node = Node::new(Settings { open_requests: 1, ..Settings::default() });
    node.receive(&local(), &request(GET, 1));
    node.asked();
    node.receive(&local(), &request(GET, 2));
    let sent = node.only_sent();
    assert_eq!((sent.code(), sent.number(CoapOption::MaxAge)), (Code::SERVICE_UNAVAILABLE, Some(5)));
}

#[test]
fn an_unknown_critical_option_is_a_bad_option_and_an_elective_one_ignored() {
    let mut node = Node::new(Settings::default());
    for number in [9, 13, 19, 31, 9_999] {
        let mut packet = request(GET, number);
        packet.add_option(CoapOption::from(number), vec![1]);
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().code(), Code::BAD_OPTION, "{number}");
        packet.header.set_type(MessageType::NonConfirmable);
        packet.header.message_id = number + 1;
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().kind(), MessageType::Reset, "{number}");
    }
    let mut packet = request(GET, 1);
    packet.add_option(CoapOption::from(10_000), vec![1]);
    node.receive(&local(), &packet);
    node.asked();
}

#[test]
fn a_critical_option_of_a_wrong_length_or_twice_counts_as_unknown() {
    let mut node = Node::new(Settings::default());
    let wrong: [(CoapOption, &[&[u8]]); 5] = [
        (CoapOption::Accept, &[&[0, 0, 0]]),
        (CoapOption::Accept, &[&[0], &[50]]),
        (CoapOption::IfNoneMatch, &[&[1]]),
        (CoapOption::Block1, &[&[0, 0, 0, 0]]),
        (CoapOption::UriHost, &[b""]),
    ];
    for (id, (option, values)) in (0..).zip(wrong) {
        let mut packet = request(GET, id);
        for value in values {
            packet.add_option(option, value.to_vec());
        }
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().code(), Code::BAD_OPTION, "{option:?} {values:?}");
    }
}

#[test]
fn a_request_to_be_forwarded_is_refused() {
    let mut node = Node::new(Settings::default());
    for (id, option) in [(1, CoapOption::ProxyUri), (2, CoapOption::ProxyScheme)] {
        let mut packet = request(GET, id);
        packet.add_option(option, b"http".to_vec());
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().code(), Code::PROXYING_NOT_SUPPORTED);
    }
}

#[test]
fn a_path_that_is_no_text_or_climbs_and_an_unknown_method_are_refused() {
    let mut node = Node::new(Settings::default());
    for (id, segment) in [(1, &b"\xff"[..]), (2, b".."), (3, b".")] {
        let mut packet = request(GET, id);
        packet.add_option(CoapOption::UriPath, segment.to_vec());
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().code(), Code::BAD_OPTION);
    }
    node.receive(&local(), &request(31, 4));
    assert_eq!(node.only_sent().code(), Code::METHOD_NOT_ALLOWED);
}

#[test]
fn the_owner_sees_the_typed_options_and_the_payload() {
    let mut node = Node::new(Settings::default());
    let mut packet = request(POST, 1);
    packet.add_option(CoapOption::UriQuery, b"a=b".to_vec());
    packet.add_option(CoapOption::UriHost, b"gw.local".to_vec());
    packet.add_option(CoapOption::UriPort, vec![0x16, 0x33]);
    packet.add_option(CoapOption::ContentFormat, vec![110]);
    packet.add_option(CoapOption::Accept, vec![]);
    packet.add_option(CoapOption::ETag, vec![1, 2]);
    packet.add_option(CoapOption::IfMatch, vec![3]);
    packet.add_option(CoapOption::IfNoneMatch, vec![]);
    packet.payload = b"[]".to_vec();
    node.receive(&local(), &packet);
    let (_, request) = node.asked();
    assert_eq!(
        (request.method, request.path.join("/"), request.query.join("&")),
        (Method::Post, "value".into(), "a=b".into())
    );
    assert_eq!((request.host.as_deref(), request.port), (Some("gw.local"), Some(5683)));
    assert_eq!(request.content_format, Some(ContentFormat::SENML_JSON));
    assert_eq!(request.accept, Some(ContentFormat::TEXT));
    assert_eq!(request.etags[0].as_bytes(), [1, 2]);
    assert_eq!(request.if_match.unwrap()[0].as_bytes(), [3]);
    assert!(request.if_none_match && request.confirmable);
    assert_eq!(&request.payload[..], b"[]");
}

#[test]
fn an_answer_that_the_client_does_not_want_leaves_an_acknowledgement_only() {
    let mut node = Node::new(Settings::default());
    let mut packet = request(POST, 1);
    packet.add_option(CoapOption::NoResponse, vec![2]);
    assert_eq!(node.exchange(&local(), &packet, changed()).bytes, [0x60, 0, 0, 1]);
    packet.header.message_id = 2;
    let sent = node.exchange(&local(), &packet, Response::new(Code::BAD_REQUEST));
    assert_eq!(sent.code(), Code::BAD_REQUEST, "errors it does want");
}

#[test]
fn a_multicast_request_is_answered_at_leisure_and_only_with_something_useful() {
    let mut node = Node::new(Settings::default());
    for (id, answer) in
        [(1, Response::content(ContentFormat::TEXT, "1")), (2, Response::new(Code::NOT_FOUND))]
    {
        let bytes = plain_request(GET, id).to_bytes().unwrap();
        node.engine.receive_multicast(&local(), &bytes, node.now);
        let outputs = node.outputs();
        let [Output::Request { id, multicast: true, .. }] = &outputs[..] else { panic!("{outputs:?}") };
        node.engine.respond(*id, answer, node.now);
    }
    assert_eq!(node.sent(), [], "not at once");
    let sent = node.sent_within(Duration::from_secs(5));
    assert_eq!(
        sent.iter().map(|sent| (sent.kind(), sent.code())).collect::<Vec<_>>(),
        [(MessageType::NonConfirmable, Code::CONTENT)]
    );
    let before = node.engine.counters();
    node.engine.receive_multicast(&local(), &request(GET, 3).to_bytes().unwrap(), node.now);
    node.engine.receive_multicast(&local(), &[0x40, 0, 0, 1], node.now);
    node.engine.receive_multicast(&local(), &[0x40, 1, 0, 1, 0xff], node.now);
    assert_eq!(
        (node.sent(), node.engine.counters().malformed),
        (Vec::new(), before.malformed + 1),
        "and never reset"
    );
}

#[test]
fn the_peers_that_are_remembered_are_bounded_and_the_silent_ones_forgotten_first() {
    let mut node = Node::new(Settings { peers: 100, ..Settings::default() });
    for number in 0..1_000 {
        node.exchange(&remote(0), &request(POST, number), changed());
        node.exchange(&remote(number + 1), &request(POST, 1), changed());
        assert!(node.engine.memory_use().peers <= 100);
        node.now += Duration::from_millis(1);
    }
    node.receive(&remote(0), &request(POST, 999));
    assert_eq!(node.only_sent().code(), Code::CHANGED, "who is active is still remembered");
}

#[test]
fn the_bytes_of_remembered_answers_are_bounded_also_of_a_peer_that_is_sent_something() {
    let mut node = Node::new(Settings { remembered_bytes: 3_000, ..Settings::default() });
    let request_of_ours = coap_link::Request::new(Method::Get, "x");
    node.engine.request(&local(), request_of_ours, node.now).expect("there is room");
    node.sent();
    for number in 0..10 {
        node.exchange(
            &local(),
            &request(GET, number),
            Response::content(ContentFormat::OCTETS, vec![0; 900]),
        );
        assert!(node.engine.memory_use().remembered_bytes <= 3_000);
    }
    assert_eq!(
        node.sent_within(Duration::from_secs(3)).len(),
        1,
        "what is under way to it is still sent again"
    );
}

#[test]
fn a_block_option_of_the_reserved_size_is_a_bad_request() {
    let mut node = Node::new(Settings::default());
    for (id, option) in [(1, CoapOption::Block1), (2, CoapOption::Block2)] {
        let mut packet = request(GET, id);
        packet.add_option(option, block(0, false, 7));
        node.receive(&local(), &packet);
        assert_eq!(node.only_sent().code(), Code::BAD_REQUEST);
    }
}
