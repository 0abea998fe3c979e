//! Bodies in blocks (RFC 7959), both ways, and their bounds.

use std::time::Duration;

use coap_link::{BlockSize, Code, ContentFormat, Response, Settings};
use coap_lite::{CoapOption, Packet};

use crate::engine::support::{GET, Node, POST, Sent, block, local, remote, request};

/// A POST of one block; `exponent` 2 is 64 bytes.
fn upload(id: u16, number: u32, more: bool, payload: &[u8]) -> Packet {
    let mut packet = request(POST, id);
    packet.add_option(CoapOption::Block1, block(number, more, 2));
    packet.payload = payload.to_vec();
    packet
}

fn download(id: u16, number: u32, exponent: u8) -> Packet {
    let mut packet = request(GET, id);
    packet.add_option(CoapOption::Block2, block(number, false, exponent));
    packet
}

fn send(node: &mut Node, packet: &Packet) -> Sent {
    node.receive(&local(), packet);
    node.only_sent()
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

fn content(length: usize) -> Response {
    Response::content(ContentFormat::OCTETS, body(length))
}

#[test]
fn the_blocks_of_a_request_reach_the_owner_as_one_body() {
    let mut node = Node::new(Settings::default());
    let whole = body(150);
    let first = send(&mut node, &upload(1, 0, true, &whole[..64]));
    assert_eq!((first.code(), first.option(CoapOption::Block1)), (Code::CONTINUE, Some(block(0, true, 2))));
    assert_eq!(send(&mut node, &upload(2, 1, true, &whole[64..128])).code(), Code::CONTINUE);
    node.receive(&local(), &upload(3, 2, false, &whole[128..]));
    let (id, asked) = node.asked();
    assert_eq!(asked.payload, whole);
    node.engine.respond(id, Response::new(Code::CHANGED), node.now);
    let last = node.only_sent();
    assert_eq!((last.code(), last.option(CoapOption::Block1)), (Code::CHANGED, Some(block(2, false, 2))));
    assert_eq!(node.engine.memory_use().assemblies, 0);
}

#[test]
fn a_missing_block_is_told_and_what_is_there_stays() {
    let mut node = Node::new(Settings::default());
    let whole = body(150);
    assert_eq!(send(&mut node, &upload(1, 1, true, &whole[64..128])).code(), Code::REQUEST_ENTITY_INCOMPLETE);
    send(&mut node, &upload(2, 0, true, &whole[..64]));
    assert_eq!(send(&mut node, &upload(3, 2, false, &whole[128..])).code(), Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(send(&mut node, &upload(4, 1, true, &whole[64..128])).code(), Code::CONTINUE);
    node.receive(&local(), &upload(5, 2, false, &whole[128..]));
    assert_eq!(node.asked().1.payload, whole);
}

#[test]
fn a_block_that_comes_again_in_another_message_is_continued_again() {
    let mut node = Node::new(Settings::default());
    let whole = body(150);
    send(&mut node, &upload(1, 0, true, &whole[..64]));
    send(&mut node, &upload(2, 1, true, &whole[64..128]));
    assert_eq!(send(&mut node, &upload(3, 1, true, &whole[64..128])).code(), Code::CONTINUE);
    node.receive(&local(), &upload(4, 2, false, &whole[128..]));
    assert_eq!(node.asked().1.payload, whole);
}

#[test]
fn uploads_with_different_request_tags_do_not_mix() {
    let mut node = Node::new(Settings::default());
    let tagged = |id, number, more, payload: &[u8], tag: u8| {
        let mut packet = upload(id, number, more, payload);
        packet.add_option(CoapOption::from(292), vec![tag]);
        packet
    };
    send(&mut node, &tagged(1, 0, true, &[1; 64], 1));
    send(&mut node, &tagged(2, 0, true, &[2; 64], 2));
    node.receive(&local(), &tagged(3, 1, false, &[1], 1));
    assert_eq!(&node.asked().1.payload[..], [1; 65]);
    node.receive(&local(), &tagged(4, 1, false, &[2], 2));
    assert_eq!(&node.asked().1.payload[..], [2; 65]);
}

#[test]
fn a_body_that_is_too_large_is_refused_at_the_first_block_where_its_size_is_told() {
    let mut node = Node::new(Settings { request_body: 100, ..Settings::default() });
    let mut packet = upload(1, 0, true, &[0; 64]);
    packet.add_option(CoapOption::Size1, vec![101]);
    let sent = send(&mut node, &packet);
    assert_eq!((sent.code(), sent.number(CoapOption::Size1)), (Code::REQUEST_ENTITY_TOO_LARGE, Some(100)));
    send(&mut node, &upload(2, 0, true, &[0; 64]));
    let sent = send(&mut node, &upload(3, 1, true, &[0; 64]));
    assert_eq!((sent.code(), sent.number(CoapOption::Size1)), (Code::REQUEST_ENTITY_TOO_LARGE, Some(100)));
    assert_eq!(node.engine.memory_use().assemblies, 0);
    let mut packet = request(POST, 4);
    packet.payload = vec![0; 101];
    assert_eq!(send(&mut node, &packet).code(), Code::REQUEST_ENTITY_TOO_LARGE);
}

#[test]
fn a_body_of_exactly_the_bound_is_taken() {
    let mut node = Node::new(Settings { request_body: 128, ..Settings::default() });
    send(&mut node, &upload(1, 0, true, &[0; 64]));
    node.receive(&local(), &upload(2, 1, false, &[0; 64]));
    assert_eq!(node.asked().1.payload.len(), 128);
}

#[test]
fn a_block_that_is_not_as_long_as_it_says_is_a_bad_request() {
    let mut node = Node::new(Settings::default());
    assert_eq!(send(&mut node, &upload(1, 0, true, &[0; 63])).code(), Code::BAD_REQUEST);
    assert_eq!(send(&mut node, &upload(2, 0, false, &[0; 65])).code(), Code::BAD_REQUEST);
}

#[test]
fn smaller_blocks_are_asked_for_and_the_body_goes_on_in_those() {
    let mut node = Node::new(Settings { block_size: BlockSize::at_most(32), ..Settings::default() });
    let whole = body(100);
    let sent = send(&mut node, &upload(1, 0, true, &whole[..64]));
    assert_eq!(sent.option(CoapOption::Block1), Some(block(0, true, 1)));
    let mut packet = upload(2, 0, true, &whole[64..96]);
    packet.set_option(CoapOption::Block1, [block(2, true, 1)].into());
    assert_eq!(send(&mut node, &packet).code(), Code::CONTINUE);
    packet = upload(3, 0, false, &whole[96..]);
    packet.set_option(CoapOption::Block1, [block(3, false, 1)].into());
    node.receive(&local(), &packet);
    assert_eq!(node.asked().1.payload, whole);
}

#[test]
fn the_last_block_number_is_a_missing_block_and_takes_no_memory() {
    let mut node = Node::new(Settings { request_body: usize::MAX, ..Settings::default() });
    let sent = send(&mut node, &upload(1, 0xf_ffff, false, b"x"));
    assert_eq!(sent.code(), Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(node.engine.memory_use().assembly_bytes, 0);
}

#[test]
fn bodies_under_way_are_bounded_for_a_peer_and_in_all_and_end_when_idle() {
    let settings = Settings { assemblies: 10, assemblies_per_peer: 2, ..Settings::default() };
    let mut node = Node::new(settings);
    for number in 0..20 {
        let mut packet = upload(number, 0, true, &[0; 64]);
        packet.add_option(CoapOption::UriQuery, number.to_string().into_bytes());
        assert_eq!(send(&mut node, &packet).code(), Code::CONTINUE);
        assert!(node.engine.memory_use().assemblies <= 2);
    }
    let codes: Vec<_> = (0..20)
        .map(|number| {
            node.receive(&remote(number), &upload(1, 0, true, &[0; 64]));
            node.only_sent().code()
        })
        .collect();
    assert_eq!((codes[7], codes[8]), (Code::CONTINUE, Code::SERVICE_UNAVAILABLE));
    assert_eq!(node.engine.memory_use().assemblies, 10);
    node.pass(Duration::from_secs(60));
    assert_eq!((node.engine.memory_use().assemblies, node.engine.memory_use().assembly_bytes), (0, 0));
}

#[test]
fn the_bytes_of_bodies_under_way_are_bounded() {
    let mut node = Node::new(Settings { assembly_bytes: 1_000, ..Settings::default() });
    let refused = (0..100)
        .filter(|number| {
            node.receive(&remote(*number), &upload(1, 0, true, &[0; 64]));
            assert!(node.engine.memory_use().assembly_bytes <= 1_000);
            node.only_sent().code() == Code::SERVICE_UNAVAILABLE
        })
        .count();
    assert!(refused > 80, "{refused}");
}

#[test]
fn a_large_answer_is_cut_and_its_other_blocks_come_from_what_is_kept() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&local(), &request(GET, 1), content(2_500));
    assert_eq!(first.option(CoapOption::Block2), Some(block(0, true, 6)));
    let tag = first.option(CoapOption::ETag).expect("blocks have a tag");
    let second = send(&mut node, &download(2, 1, 6));
    let third = send(&mut node, &download(3, 2, 6));
    assert_eq!(third.option(CoapOption::Block2), Some(block(2, false, 6)));
    assert_eq!(
        (second.option(CoapOption::ETag), third.option(CoapOption::ETag)),
        (Some(tag.clone()), Some(tag))
    );
    assert_eq!([first.packet.payload, second.packet.payload, third.packet.payload].concat(), body(2_500));
}

#[test]
fn a_block_of_what_is_not_kept_is_cut_from_what_the_owner_answers_anew() {
    let mut node = Node::new(Settings { kept_for: Duration::from_secs(10), ..Settings::default() });
    let first = node.exchange(&local(), &request(GET, 1), content(2_500));
    node.pass(Duration::from_secs(10));
    assert_eq!(node.engine.memory_use().kept_bodies, 0);
    let third = node.exchange(&local(), &download(2, 2, 6), content(2_500));
    assert_eq!(third.packet.payload, body(2_500)[2_048..]);
    assert_eq!(third.option(CoapOption::ETag), first.option(CoapOption::ETag));
}

#[test]
fn a_client_gets_blocks_as_small_as_it_asks_for() {
    let mut node = Node::new(Settings::default());
    let mut packet = download(1, 0, 0);
    packet.add_option(CoapOption::Size2, vec![]);
    let first = node.exchange(&local(), &packet, content(40));
    assert_eq!((first.packet.payload.len(), first.number(CoapOption::Size2)), (16, Some(40)));
    let last = send(&mut node, &download(2, 2, 0));
    assert_eq!((last.packet.payload.len(), last.option(CoapOption::Block2)), (8, Some(block(2, false, 0))));
}

#[test]
fn a_block_behind_the_end_is_a_bad_request() {
    let mut node = Node::new(Settings::default());
    node.exchange(&local(), &request(GET, 1), content(2_500));
    assert_eq!(send(&mut node, &download(2, 3, 6)).code(), Code::BAD_REQUEST);
    assert_eq!(send(&mut node, &download(3, 0xf_ffff, 6)).code(), Code::BAD_REQUEST);
    assert_eq!(
        node.exchange(&remote(1), &download(4, 0xf_ffff, 6), content(2_500)).code(),
        Code::BAD_REQUEST
    );
}

#[test]
fn an_error_is_told_as_it_is_whichever_block_was_asked_for() {
    let mut node = Node::new(Settings::default());
    let sent = node.exchange(&local(), &download(1, 3, 6), Response::error(Code::NOT_FOUND, "gone"));
    assert_eq!((sent.code(), sent.option(CoapOption::Block2)), (Code::NOT_FOUND, None));
    assert_eq!(sent.packet.payload, b"gone");
}

#[test]
fn the_last_block_of_a_body_can_be_sent_again_when_there_is_room_for_the_request() {
    let mut node = Node::new(Settings { open_requests: 1, ..Settings::default() });
    send(&mut node, &upload(1, 0, true, &[0; 64]));
    node.receive(&remote(1), &request(GET, 1));
    let (other, _) = node.asked();
    let last = upload(2, 1, false, &[0; 64]);
    assert_eq!(send(&mut node, &last).code(), Code::SERVICE_UNAVAILABLE);
    node.engine.respond(other, Response::new(Code::CONTENT), node.now);
    node.only_sent();
    node.receive(&local(), &upload(3, 1, false, &[0; 64]));
    assert_eq!(node.asked().1.payload.len(), 128);
}

#[test]
fn a_further_block_of_an_answer_to_a_post_that_is_not_kept_does_not_post_again() {
    let mut node = Node::new(Settings::default());
    let mut packet = request(POST, 1);
    packet.add_option(CoapOption::Block2, block(1, false, 6));
    assert_eq!(send(&mut node, &packet).code(), Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn kept_bodies_are_bounded_for_a_peer_in_all_and_in_bytes() {
    let settings =
        Settings { kept_bodies: 10, kept_bodies_per_peer: 2, kept_bytes: 12_000, ..Settings::default() };
    let mut node = Node::new(settings);
    for number in 0..30 {
        let mut packet = request(GET, number);
        packet.add_option(CoapOption::UriQuery, number.to_string().into_bytes());
        node.exchange(&local(), &packet, content(2_500));
        assert!(node.engine.memory_use().kept_bodies <= 2);
    }
    for number in 0..30 {
        let secured = coap_link::Peer::secured(remote(number).address, "a".into());
        node.exchange(&secured, &request(GET, 1), content(2_500));
        assert!(node.engine.memory_use().kept_bytes <= 12_000);
    }
    assert_eq!(node.engine.memory_use().kept_bodies, 4);
    node.exchange(&local(), &request(GET, 99), content(20_000));
    assert_eq!(node.engine.memory_use().kept_bodies, 0, "what does not fit at all is not kept");
}

#[test]
fn a_client_that_has_the_state_already_is_told_so_without_the_body() {
    let mut node = Node::new(Settings::default());
    let first = node.exchange(&local(), &request(GET, 1), content(2_500));
    let tag = first.option(CoapOption::ETag).unwrap();
    let mut packet = request(GET, 2);
    packet.add_option(CoapOption::ETag, tag.clone());
    let second = node.exchange(&local(), &packet, content(2_500));
    assert_eq!((second.code(), second.option(CoapOption::ETag)), (Code::VALID, Some(tag)));
    assert!(second.packet.payload.is_empty() && second.option(CoapOption::Block2).is_none());
    packet.header.message_id = 3;
    assert_eq!(node.exchange(&local(), &packet, content(2_501)).code(), Code::CONTENT, "it has changed");
}
