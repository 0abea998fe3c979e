#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        bytes.push(u8::try_from(length & 0x7f).unwrap() | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn publish(qos: u8, dup: bool, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(payload);
    packet(0x30 | (u8::from(dup) << 3) | (qos << 1), &body)
}

fn scanned(stream: &[u8], cuts: impl Iterator<Item = usize>) -> (Scanner, DupFlags) {
    let (mut scanner, dup_flags, mut rest) = (Scanner::Header, DupFlags::default(), stream);
    for cut in cuts {
        let (now, later) = rest.split_at(cut.min(rest.len()));
        scanner.scan(now, &dup_flags);
        rest = later;
    }
    scanner.scan(rest, &dup_flags);
    (scanner, dup_flags)
}

#[test]
fn the_last_message_with_a_packet_id_decides() {
    let stream = [
        packet(0x10, b"the body of a CONNECT"),
        publish(1, true, "s/a", 1, b"x"),
        publish(1, true, "s/a", 2, b"x"),
        publish(0, true, "s/a", 0, &[0, 3, 0, 3]),
        publish(1, false, "s/a", 2, b"y"),
        publish(2, true, "", 0x0304, b""),
        packet(0xc0, b""),
        publish(1, true, &"t".repeat(300), 9, &[0x3a; 70_000]),
    ]
    .concat();
    for size in [1, 2, 7, 100_000] {
        let (scanner, dup_flags) = scanned(&stream, std::iter::repeat_n(size, stream.len()));
        assert_eq!(scanner, Scanner::Header, "reads of {size}");
        let set: Vec<u16> = (0..=u16::MAX).filter(|id| dup_flags.is_set(*id)).collect();
        assert_eq!(set, [1, 9, 0x0304], "reads of {size}");
    }
}

#[test]
fn stops_at_bytes_that_are_not_mqtt() {
    for bytes in
        [&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x3a, 1, 0], &[0x3a, 4, 0, 9, b'a', b'b', 0, 1]]
    {
        let (scanner, dup_flags) = scanned(bytes, std::iter::empty());
        assert_eq!(scanner, Scanner::Invalid, "{bytes:x?}");
        assert!(dup_flags.ids().is_empty());
    }
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_how_the_bytes_are_split(
        stream in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0_usize..40, 0..20),
    ) {
        let (whole, one) = scanned(&stream, std::iter::empty());
        let (pieces, other) = scanned(&stream, cuts.into_iter());
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(&*one.ids(), &*other.ids());
    }
}
