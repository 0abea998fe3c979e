//! Requests of our own, against answers made by hand.

use std::time::Duration;

use bytes::Bytes;
use coap_link::{
    BlockSize, Code, ContentFormat, ETag, Method, Output, Request, RequestError, RequestFailure, Response,
    Settings, Token,
};
use coap_lite::{CoapOption, MessageType, Packet};

use crate::engine::support::{Node, Sent, block, local, message, remote};

pub(crate) fn get() -> Request {
    Request::new(Method::Get, "/sensors/ahu-3/")
}

/// Sends a request; what left.
pub(crate) fn ask(node: &mut Node, request: Request) -> (Token, Sent) {
    let token = node.engine.request(&local(), request, node.now).expect("there is room");
    (token, node.only_sent())
}

/// The answer to `to`, on its acknowledgement.
pub(crate) fn answer(to: &Sent, code: u8, payload: &[u8]) -> Packet {
    let mut packet = message(MessageType::Acknowledgement, code, to.id());
    packet.set_token(to.packet.get_token().to_vec());
    packet.payload = payload.to_vec();
    packet
}

pub(crate) fn with(mut packet: Packet, option: CoapOption, value: Vec<u8>) -> Packet {
    packet.add_option(option, value);
    packet
}

/// The only output.
pub(crate) fn only_output(node: &mut Node) -> Output {
    let mut outputs = node.outputs();
    outputs.retain(|output| !matches!(output, Output::Send { .. }));
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    outputs.remove(0)
}

pub(crate) fn payload(output: Output) -> Bytes {
    match output {
        Output::Response { result: Ok(response), .. } | Output::Notification { response, .. } => {
            response.payload
        }
        other => panic!("no answer: {other:?}"),
    }
}

pub(crate) fn failure(output: Output) -> RequestFailure {
    match output {
        Output::Response { result: Err(failure), .. } => failure,
        other => panic!("no failure: {other:?}"),
    }
}

pub(crate) const CONTENT: u8 = 0x45;

#[test]
fn a_request_says_what_is_asked_and_its_answer_comes_with_its_token() {
    let mut node = Node::new(Settings::default());
    let mut request = get();
    request.query = vec!["a=b".into()];
    request.accept = Some(ContentFormat::SENML_CBOR);
    request.etags = vec![ETag::new(&[1]).unwrap()];
    let (token, sent) = ask(&mut node, request);
    assert_eq!((sent.kind(), sent.packet.get_token()), (MessageType::Confirmable, token.as_bytes()));
    let path = sent.packet.get_option(CoapOption::UriPath).unwrap();
    assert_eq!(path.iter().map(Vec::as_slice).collect::<Vec<_>>(), [&b"sensors"[..], b"ahu-3"]);
    assert_eq!(sent.number(CoapOption::Accept), Some(112));
    node.receive(&local(), &answer(&sent, CONTENT, b"21.5"));
    let Output::Response { token: answered, result: Ok(response), observing: false, .. } =
        only_output(&mut node)
    else {
        panic!("a response");
    };
    assert_eq!((answered, response.code, &response.payload[..]), (token, Code::CONTENT, &b"21.5"[..]));
    assert_eq!(node.engine.memory_use().exchanges, 0);
}

#[test]
fn a_separate_answer_is_acknowledged_each_time_it_comes_and_told_once() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = ask(&mut node, get());
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, sent.id()));
    assert_eq!(node.pass(Duration::from_secs(50)), [], "it is not sent again");
    let mut separate = answer(&sent, CONTENT, b"1");
    separate.header.set_type(MessageType::Confirmable);
    separate.header.message_id = 500;
    node.receive(&local(), &separate);
    let outputs = node.outputs();
    assert_eq!(outputs.len(), 2, "{outputs:?}");
    node.receive(&local(), &separate);
    assert_eq!(node.only_sent().bytes, [0x60, 0, 1, 0xf4]);
}

#[test]
fn an_answer_whose_acknowledgement_was_lost_ends_the_repetition() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = ask(&mut node, get());
    let mut separate = answer(&sent, CONTENT, b"1");
    separate.header.set_type(MessageType::NonConfirmable);
    node.receive(&local(), &separate);
    assert_eq!(payload(only_output(&mut node)), "1");
    assert_eq!(node.sent_within(Duration::from_secs(100)), []);
}

#[test]
fn an_answer_from_someone_else_or_with_another_token_is_not_taken() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = ask(&mut node, get());
    let mut separate = answer(&sent, CONTENT, b"1");
    separate.header.set_type(MessageType::Confirmable);
    node.receive(&remote(1), &separate);
    assert_eq!(node.only_sent().kind(), MessageType::Reset);
    separate.set_token(vec![1, 2, 3]);
    node.receive(&local(), &separate);
    assert_eq!(node.only_sent().kind(), MessageType::Reset);
}

#[test]
fn who_does_not_answer_is_asked_five_times_with_growing_pauses_and_then_given_up() {
    let mut node = Node::new(Settings::default());
    let began = node.now;
    ask(&mut node, get());
    let happened = node.pass(Duration::from_secs(300));
    let times: Vec<_> = happened.iter().map(|(at, _)| (*at - began).as_secs_f64()).collect();
    assert_eq!(times.len(), 5, "four more and the end: {times:?}");
    assert!((2.0..=3.0).contains(&times[0]), "{times:?}");
    for index in 1..5 {
        let factor = times[index] / times[0];
        let expected = f64::from((1 << (index + 1)) - 1);
        assert!((factor - expected).abs() < 0.01, "twice as long each time: {times:?}");
    }
    let (_, last) = happened.into_iter().next_back().unwrap();
    assert_eq!(failure(last), RequestFailure::TimedOut);
}

#[test]
fn who_acknowledges_and_never_answers_is_given_up_too() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = ask(&mut node, get());
    node.receive(&local(), &message(MessageType::Acknowledgement, 0, sent.id()));
    let happened = node.pass(Duration::from_secs(61));
    assert_eq!(happened.len(), 1);
    assert_eq!(failure(happened.into_iter().next().unwrap().1), RequestFailure::TimedOut);
}

#[test]
fn a_reset_ends_a_request_confirmable_or_not() {
    for confirmable in [true, false] {
        let mut node = Node::new(Settings::default());
        let (_, sent) = ask(&mut node, Request { confirmable, ..get() });
        node.receive(&local(), &message(MessageType::Reset, 0, sent.id()));
        assert_eq!(failure(only_output(&mut node)), RequestFailure::Reset);
        assert_eq!(node.sent_within(Duration::from_secs(100)), []);
    }
}

#[test]
fn a_plain_request_is_sent_once_and_given_up_without_an_answer() {
    let mut node = Node::new(Settings::default());
    ask(&mut node, Request { confirmable: false, ..get() });
    let happened = node.pass(Duration::from_secs(100));
    assert_eq!(happened.len(), 1);
}

#[test]
fn a_body_in_blocks_is_put_together_and_a_torn_or_too_large_one_told() {
    let settings = || Settings { response_body: 100, ..Settings::default() };
    let parts = |etags: [u8; 2], length: usize| {
        let mut node = Node::new(settings());
        let (_, sent) = ask(&mut node, get());
        let first = with(answer(&sent, CONTENT, &[1; 64]), CoapOption::Block2, block(0, true, 2));
        node.receive(&local(), &with(first, CoapOption::ETag, vec![etags[0]]));
        let sent = node.only_sent();
        assert_eq!(sent.option(CoapOption::Block2), Some(block(1, false, 2)));
        let second = with(answer(&sent, CONTENT, &vec![2; length]), CoapOption::Block2, block(1, false, 2));
        node.receive(&local(), &with(second, CoapOption::ETag, vec![etags[1]]));
        only_output(&mut node)
    };
    assert_eq!(payload(parts([1, 1], 36)).len(), 100);
    assert_eq!(failure(parts([1, 1], 37)), RequestFailure::TooLarge { limit: 100 });
    assert_eq!(failure(parts([1, 2], 36)), RequestFailure::BlocksMismatch);
}

#[test]
fn a_large_body_goes_out_in_blocks_and_in_smaller_ones_if_asked() {
    let mut node = Node::new(Settings { block_size: BlockSize::at_most(64), ..Settings::default() });
    let body: Vec<u8> = (0..150).collect();
    let request = Request::new(Method::Post, "x").with_payload(ContentFormat::OCTETS, body.clone());
    let (_, sent) = ask(&mut node, request);
    assert_eq!(
        (sent.option(CoapOption::Block1), sent.number(CoapOption::Size1)),
        (Some(block(0, true, 2)), Some(150))
    );
    assert!(sent.option(CoapOption::from(292)).is_some(), "a Request-Tag");
    let mut got = sent.packet.payload.clone();
    node.receive(&local(), &with(answer(&sent, 0x5f, b""), CoapOption::Block1, block(0, true, 1)));
    for (number, more) in [(2, true), (3, true), (4, false)] {
        let sent = node.only_sent();
        assert_eq!(sent.option(CoapOption::Block1), Some(block(number, more, 1)));
        got.extend_from_slice(&sent.packet.payload);
        let code = if more { 0x5f } else { 0x44 };
        node.receive(&local(), &with(answer(&sent, code, b""), CoapOption::Block1, block(number, more, 1)));
    }
    assert_eq!(got, body);
    assert!(
        matches!(only_output(&mut node), Output::Response { result: Ok(response), .. } if response.code == Code::CHANGED)
    );
}

#[test]
fn a_first_block_that_is_too_large_is_sent_again_in_smaller_ones() {
    let mut node = Node::new(Settings::default());
    let request = Request::new(Method::Post, "x").with_payload(ContentFormat::OCTETS, vec![0; 2_000]);
    let (_, sent) = ask(&mut node, request);
    node.receive(&local(), &with(answer(&sent, 0x8d, b""), CoapOption::Block1, block(0, true, 2)));
    assert_eq!(node.only_sent().option(CoapOption::Block1), Some(block(0, true, 2)));
}

#[test]
fn an_echo_is_sent_back_once() {
    let mut node = Node::new(Settings::default());
    let (_, sent) = ask(&mut node, get());
    let echo = CoapOption::from(252);
    node.receive(&local(), &with(answer(&sent, 0x81, b""), echo, vec![1, 2]));
    let sent = node.only_sent();
    assert_eq!(sent.option(echo), Some(vec![1, 2]));
    node.receive(&local(), &with(answer(&sent, 0x81, b""), echo, vec![3]));
    let Output::Response { result: Ok(response), .. } = only_output(&mut node) else { panic!("a response") };
    assert_eq!(response.code, Code::UNAUTHORIZED);
}

#[test]
fn a_request_that_is_cancelled_is_not_sent_again_nor_told() {
    let mut node = Node::new(Settings::default());
    let (token, _) = ask(&mut node, get());
    node.engine.cancel(token, node.now);
    assert_eq!(node.pass(Duration::from_secs(200)), []);
}

#[test]
fn requests_under_way_and_those_that_wait_for_a_peer_are_bounded() {
    let mut node = Node::new(Settings { exchanges: 20, queue_per_peer: 4, ..Settings::default() });
    let results: Vec<_> = (0..8).map(|_| node.engine.request(&local(), get(), node.now)).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5, "one in flight, four behind it");
    assert_eq!(results[5], Err(RequestError::Busy { peer: local() }));
    let results: Vec<_> =
        (0..20).map(|number| node.engine.request(&remote(number), get(), node.now)).collect();
    assert_eq!(results[15], Err(RequestError::TooMany { limit: 20 }));
    assert_eq!(node.engine.memory_use().exchanges, 20);
}

#[test]
fn what_fits_no_option_is_not_sent() {
    let mut node = Node::new(Settings::default());
    let request = Request::new(Method::Get, &"x".repeat(256));
    assert_eq!(node.engine.request(&local(), request, node.now), Err(RequestError::Unencodable));
}

#[test]
fn two_engines_carry_large_bodies_both_ways() {
    let mut server = Node::new(Settings::default());
    let mut client = Node::new(Settings { seed: 1, ..Settings::default() });
    let body: Vec<u8> = (0..100_000_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let request = Request::new(Method::Post, "x").with_payload(ContentFormat::OCTETS, body.clone());
    client.engine.request(&local(), request, client.now).unwrap();
    for _ in 0..1_000 {
        for output in client.outputs() {
            match output {
                Output::Send { bytes, .. } => server.receive_bytes(&local(), &bytes),
                other => return assert_eq!(payload(other), body),
            }
        }
        for output in server.outputs() {
            match output {
                Output::Send { bytes, .. } => client.receive_bytes(&local(), &bytes),
                Output::Request { id, request, .. } => {
                    let response = Response { payload: request.payload, ..Response::new(Code::CHANGED) };
                    server.engine.respond(id, response, server.now);
                    for output in server.outputs() {
                        let Output::Send { bytes, .. } = output else { panic!("{output:?}") };
                        client.receive_bytes(&local(), &bytes);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("it never ends");
}
