//! Answers of a time server, written out.

use node_core::sntp::{LENGTH, request, unix_time};

const NONCE: u64 = 0x0102_0304_0506_0708;

/// An answer of a server of stratum 2, at 2026-11-23 00:00:00 UTC.
fn answer() -> [u8; LENGTH] {
    let mut answer = [0; LENGTH];
    answer[..2].copy_from_slice(&[0x24, 2]);
    answer[24..32].copy_from_slice(&NONCE.to_be_bytes());
    answer[40..44].copy_from_slice(&(1_795_392_000_u32 + 2_208_988_800).to_be_bytes());
    answer
}

#[test]
fn an_answer_has_the_time() {
    assert_eq!(unix_time(&answer(), NONCE), Some(1_795_392_000));
    let request = request(NONCE);
    assert_eq!(request[0], 0x23);
    assert_eq!(request[40..], NONCE.to_be_bytes());
}

#[test]
fn anything_else_has_none() {
    assert_eq!(unix_time(&answer(), NONCE + 1), None, "an answer to another request");
    assert_eq!(unix_time(&answer()[..47], NONCE), None);
    assert_eq!(unix_time(&request(NONCE), NONCE), None, "a request");
    for (at, byte) in [(0, 0xe4), (1, 0), (1, 16)] {
        let mut changed = answer();
        changed[at] = byte;
        assert_eq!(unix_time(&changed, NONCE), None, "byte {at}");
    }
    let mut zero = answer();
    zero[40..].fill(0);
    assert_eq!(unix_time(&zero, NONCE), None);
}
