//! Sealed frames: their bytes, and what is not opened.

use proptest::prelude::*;
use wire::sealed::{Header, Key, NodeId, OVERHEAD, OpenError, header, open, seal};

const HEADER: Header = Header { node: NodeId([0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 1]), counter: 7 };

fn key(first: u8) -> Key {
    Key::new(std::array::from_fn(|index| first.wrapping_add(index as u8)))
}

/// Made with Python's `cryptography`: `ChaCha20Poly1305(bytes(range(32))).encrypt(head[1:], frame, head)`, `head` being the
/// first 13 bytes.
const GOLDEN: &str = "0370b3d57ed000000100000007bb2f19f237b4cec3098c314c6418816b88b7c37f";

#[test]
fn the_bytes_of_a_sealed_frame_are_these() {
    let mut buffer = [0; 64];
    let length = seal(&key(0), HEADER, &[1, 0x0c, 0x61, 0], &mut buffer).unwrap();
    let hex: String = buffer[..length].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!(header(&buffer[..length]), Some(HEADER));
    let mut opened = [0; 64];
    assert_eq!(open(&key(0), &buffer[..length], &mut opened), Ok((HEADER, &[1, 0x0c, 0x61, 0][..])));
}

#[test]
fn another_key_or_a_changed_bit_is_refused() {
    let mut sealed = [0; 64];
    let length = seal(&key(0), HEADER, b"frame", &mut sealed).unwrap();
    let (sealed, mut opened) = (&sealed[..length], [0; 64]);
    assert_eq!(open(&key(1), sealed, &mut opened), Err(OpenError::Forged));
    for bit in 8..sealed.len() * 8 {
        let mut changed = sealed.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&key(0), &changed, &mut opened), Err(OpenError::Forged), "bit {bit}");
    }
    assert_eq!(open(&key(0), &sealed[..OVERHEAD - 1], &mut opened), Err(OpenError::NotSealed));
    assert_eq!(open(&key(0), &[1; 40], &mut opened), Err(OpenError::NotSealed));
    assert_eq!(open(&key(0), sealed, &mut opened[..4]), Err(OpenError::Full));
    assert!(seal(&key(0), HEADER, b"frame", &mut [0; 33]).is_err());
    assert_eq!(format!("{:?}", key(0)), "Key(..)");
}

proptest! {
    #[test]
    fn any_frame_comes_back(frame in prop::collection::vec(any::<u8>(), 0..200), node: [u8; 8], counter: u32, first: u8) {
        let header = Header { node: NodeId(node), counter };
        let mut sealed = vec![0; frame.len() + OVERHEAD];
        let length = seal(&key(first), header, &frame, &mut sealed).unwrap();
        prop_assert_eq!(length, sealed.len());
        let mut opened = vec![0; frame.len()];
        prop_assert_eq!(open(&key(first), &sealed, &mut opened), Ok((header, &frame[..])));
    }
}
