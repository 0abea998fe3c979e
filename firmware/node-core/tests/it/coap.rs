//! The bytes of an exchange, written out from RFC 7252.

use node_core::coap::{Answer, Exchange};
use proptest::prelude::*;

const EXCHANGE: Exchange = Exchange { message_id: 0x7d34, token: [1, 2, 3, 4] };

#[test]
fn a_request_is_a_confirmable_post_with_path_and_content_format() {
    let mut buffer = [0; 64];
    let length = EXCHANGE.post("sensors/attic", &[1, 0x0c, 97, 0], &mut buffer).unwrap();
    let mut expected = vec![0x44, 0x02, 0x7d, 0x34, 1, 2, 3, 4, 0xb7];
    expected.extend_from_slice(b"sensors");
    expected.push(0x05);
    expected.extend_from_slice(b"attic");
    expected.extend_from_slice(&[0x11, 42, 0xff, 1, 0x0c, 97, 0]);
    assert_eq!(buffer[..length], expected);
    assert_eq!(EXCHANGE.post("sensors/attic", &[0; 64], &mut buffer), None);
    let length = EXCHANGE.post("a-long-segment", &[1], &mut buffer).unwrap();
    assert_eq!(buffer[8..10], [0xbd, 1]);
    assert_eq!(length, 8 + 2 + 14 + 3 + 1);
}

#[test]
fn answers_are_told_apart() {
    let answer = |head, code, id: [u8; 2], token: &[u8]| {
        EXCHANGE.answer(&[&[head, code, id[0], id[1]], token].concat())
    };
    let (id, token) = ([0x7d, 0x34], [1, 2, 3, 4]);
    assert_eq!(answer(0x64, 0x44, id, &token), Some(Answer::Taken), "2.04 in the acknowledgement");
    assert_eq!(answer(0x64, 0x80, id, &token), Some(Answer::Refused(0x80)));
    assert_eq!(answer(0x64, 0xa3, id, &token), Some(Answer::Failed), "5.03");
    assert_eq!(answer(0x64, 0x81, id, &token), Some(Answer::Failed), "4.01: another key");
    assert_eq!(
        answer(0x64, 0x84, id, &token),
        Some(Answer::Failed),
        "4.04: a device that is not configured yet"
    );
    assert_eq!(answer(0x60, 0, id, &[]), Some(Answer::Later));
    assert_eq!(answer(0x44, 0x44, [9, 9], &token), Some(Answer::Taken), "an answer of its own");
    assert_eq!(answer(0x54, 0x44, [9, 9], &token), Some(Answer::Taken));
    assert_eq!(answer(0x70, 0, id, &[]), Some(Answer::Failed), "a reset");
    assert_eq!(answer(0x70, 0, [9, 9], &[]), None);
    assert_eq!(answer(0x64, 0x44, [9, 9], &token), None);
    assert_eq!(answer(0x64, 0x44, id, &[1, 2, 3, 5]), None);
    assert_eq!(answer(0x24, 0x44, id, &token), None, "another version");
    assert_eq!(Exchange::acknowledge(&[0x44, 0x44, 9, 8]), Some([0x60, 0, 9, 8]));
    assert_eq!(Exchange::acknowledge(&[0x64, 0x44, 9, 8]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(message in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = EXCHANGE.answer(&message);
        let _ = Exchange::acknowledge(&message);
    }
}
