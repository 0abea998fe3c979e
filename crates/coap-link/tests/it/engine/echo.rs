//! Large answers and addresses that have not shown that they hear us (RFC 9175).

use std::time::Duration;

use coap_link::{Code, ContentFormat, Peer, Response, Settings, Unverified};
use coap_lite::{CoapOption, MessageType, Packet};

use crate::engine::support::{GET, Node, POST, Sent, block, local, message, remote, request};

const ECHO: u16 = 252;

fn large() -> Response {
    Response::content(ContentFormat::OCTETS, vec![7; 600])
}

fn challenging() -> Settings {
    Settings { unverified: Unverified::Challenge, ..Settings::default() }
}

fn echo(sent: &Sent) -> Vec<u8> {
    sent.option(CoapOption::from(ECHO)).expect("an Echo option")
}

fn with_echo(id: u16, value: Vec<u8>) -> Packet {
    let mut packet = request(GET, id);
    packet.add_option(CoapOption::from(ECHO), value);
    packet
}

#[test]
fn who_is_challenged_and_sends_the_echo_back_gets_the_answer_and_is_known_for_a_while() {
    let mut node = Node::new(challenging());
    let challenge = node.exchange(&remote(1), &request(GET, 1), large());
    assert_eq!(challenge.code(), Code::UNAUTHORIZED);
    assert!(challenge.bytes.len() <= 136 && challenge.packet.payload.is_empty());
    let answer = node.exchange(&remote(1), &with_echo(2, echo(&challenge)), large());
    assert_eq!((answer.code(), answer.packet.payload.len()), (Code::CONTENT, 600));
    assert_eq!(node.exchange(&remote(1), &request(GET, 3), large()).code(), Code::CONTENT);
    node.pass(Duration::from_secs(3_601));
    assert_eq!(node.exchange(&remote(1), &request(GET, 4), large()).code(), Code::UNAUTHORIZED);
}

#[test]
fn an_echo_of_another_address_an_old_one_or_an_invented_one_proves_nothing() {
    let mut node = Node::new(challenging());
    let stolen = echo(&node.exchange(&remote(1), &request(GET, 1), large()));
    let mut forged = stolen.clone();
    forged[11] ^= 1;
    assert_eq!(node.exchange(&remote(2), &with_echo(1, stolen.clone()), large()).code(), Code::UNAUTHORIZED);
    assert_eq!(node.exchange(&remote(1), &with_echo(2, forged), large()).code(), Code::UNAUTHORIZED);
    assert_eq!(node.exchange(&remote(1), &with_echo(3, vec![1]), large()).code(), Code::UNAUTHORIZED);
    node.pass(Duration::from_secs(3_601));
    assert_eq!(node.exchange(&remote(1), &with_echo(4, stolen), large()).code(), Code::UNAUTHORIZED);
}

#[test]
fn by_default_an_unknown_address_gets_small_blocks_and_can_still_fetch_everything() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&remote(1), &request(GET, 1), large());
    let mut fetched = first.packet.payload.clone();
    assert!(first.bytes.len() <= 136, "{}", first.bytes.len());
    for number in 1.. {
        let mut packet = request(GET, 1 + number);
        // It goes on asking for the largest, as some clients do.
        let exponent = u8::try_from(first.packet.payload.len().ilog2() - 4).unwrap();
        packet.add_option(CoapOption::Block2, block(number.into(), false, exponent));
        node.receive(&remote(1), &packet);
        let sent = node.only_sent();
        assert!(sent.bytes.len() <= 136, "{}", sent.bytes.len());
        fetched.extend_from_slice(&sent.packet.payload);
        if sent.number(CoapOption::Block2).unwrap() & 0b1000 == 0 {
            break;
        }
    }
    assert_eq!(fetched, [7; 600]);
}

#[test]
fn the_echo_of_a_small_block_opens_the_way_for_large_ones() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&remote(1), &request(GET, 1), large());
    let answer = node.exchange(&remote(1), &with_echo(2, echo(&first)), large());
    assert_eq!(answer.packet.payload.len(), 600);
}

#[test]
fn an_answer_to_a_post_is_never_challenged_since_asking_again_would_do_it_again() {
    let mut node = Node::new(challenging());
    let sent = node.exchange(&remote(1), &request(POST, 1), large());
    assert_eq!(sent.code(), Code::CONTENT);
    assert!(sent.bytes.len() <= 136 && sent.option(CoapOption::Block2).is_some());
}

#[test]
fn an_acknowledgement_of_a_message_of_ours_is_a_proof_and_a_reset_is_none() {
    for (kind, code) in
        [(MessageType::Acknowledgement, Code::CONTENT), (MessageType::Reset, Code::UNAUTHORIZED)]
    {
        let mut node = Node::new(challenging());
        node.receive(&remote(1), &request(GET, 1));
        let (id, _) = node.asked();
        node.pass(Duration::from_secs(1));
        node.engine.respond(id, Response::new(Code::CHANGED), node.now);
        let separate = node.only_sent();
        node.receive(&remote(1), &message(kind, 0, separate.id()));
        assert_eq!(node.exchange(&remote(1), &request(GET, 2), large()).code(), code);
    }
}

#[test]
fn small_answers_dtls_this_machine_and_trusted_networks_need_no_echo() {
    let mut node = Node::new(challenging());
    let small = Response::content(ContentFormat::TEXT, "x".repeat(100));
    assert_eq!(node.exchange(&remote(1), &request(GET, 1), small).code(), Code::CONTENT);
    let secured = Peer::secured(remote(1).address, "sensor".into());
    assert_eq!(node.exchange(&secured, &request(GET, 2), large()).code(), Code::CONTENT);
    assert_eq!(node.exchange(&local(), &request(GET, 3), large()).code(), Code::CONTENT);
    let mut node = Node::new(Settings { unverified: Unverified::Trusted, ..Settings::default() });
    assert_eq!(node.exchange(&remote(1), &request(GET, 1), large()).packet.payload.len(), 600);
}

#[test]
fn addresses_that_are_known_are_bounded() {
    let mut node = Node::new(Settings { verified: 10, ..challenging() });
    for number in 0..50 {
        let challenge = node.exchange(&remote(number), &request(GET, 1), large());
        node.exchange(&remote(number), &with_echo(2, echo(&challenge)), large());
        assert!(node.engine.memory_use().verified <= 10);
    }
    assert_eq!(node.exchange(&remote(0), &request(GET, 3), large()).code(), Code::UNAUTHORIZED);
    assert_eq!(node.exchange(&remote(49), &request(GET, 3), large()).code(), Code::CONTENT);
}
