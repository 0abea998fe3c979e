//! Encryption: with the right key, a wrong one, none; and recordings that are played again.

use aes::Aes128;
use ccm::aead::{AeadInOut as _, KeyInit as _};
use ccm::consts::{U4, U11, U12, U13};
use ccm::{Ccm, NonceSize};
use codecs::ble::{BindKey, BleProblem, Keys};

use crate::ble::support::{Beacon, Listener, hex, named};

const KEY: &str = "00112233445566778899aabbccddeeff";
const OTHER_KEY: &str = "00112233445566778899aabbccddee00";
/// As in [`crate::ble::support::ADDRESS`].
const ADDRESS: &str = "A4C1380A0B0C";
const REVERSED: &str = "0C0B0A38C1A4";

fn seal<N>(nonce: &[u8], associated: &[u8], text: &str) -> (Vec<u8>, Vec<u8>)
where
    N: ccm::aead::array::ArraySize + NonceSize,
{
    let key: [u8; 16] = hex(KEY).try_into().unwrap();
    let mut text = hex(text);
    let cipher = Ccm::<Aes128, U4, N>::new(&key.into());
    let nonce = nonce.try_into().unwrap();
    let tag = cipher.encrypt_inout_detached(nonce, associated, text.as_mut_slice().into()).unwrap();
    (text, tag.to_vec())
}

fn written(parts: &[&[u8]]) -> String {
    parts.concat().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 21.5 °C.
fn bthome_2(counter: u32) -> String {
    let counter = counter.to_le_bytes();
    let nonce = [&hex(ADDRESS)[..], &hex("D2FC41"), &counter].concat();
    let (text, tag) = seal::<U13>(&nonce, &[], "02 66 08");
    written(&[&[0x41], &text, &counter, &tag])
}

fn hear(
    listener: &Listener,
    service: u16,
    data: &str,
    second: i64,
) -> Result<Vec<(String, f64)>, BleProblem> {
    listener.hear(&Beacon { service: vec![(service, data)], ..Beacon::default() }, second)
}

#[test]
fn the_key_opens_bthome_2() {
    let listener = Listener::with_key(KEY);
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(500), 0), Ok(named(&[("temperature", 21.5)])));
}

#[test]
fn the_key_opens_bthome_1() {
    let counter = 500_u32.to_le_bytes();
    let nonce = [&hex(ADDRESS)[..], &hex("1E18"), &counter].concat();
    let (text, tag) = seal::<U12>(&nonce, &[0x11], "23 02 66 08");
    let data = written(&[&text, &counter, &tag]);
    assert_eq!(hear(&Listener::with_key(KEY), 0x181e, &data, 0), Ok(named(&[("temperature", 21.5)])));
}

/// Version 5, encrypted, with its address; 21.5 °C.
fn mibeacon(number: u8, counter: u32) -> String {
    let head = [0x58, 0x58, 0x5b, 0x05, number];
    let counter = &counter.to_le_bytes()[..3];
    let nonce = [&hex(REVERSED)[..], &head[2..], counter].concat();
    let (text, tag) = seal::<U12>(&nonce, &[0x11], "0410 02 D700");
    written(&[&head, &hex(REVERSED), &text, counter, &tag])
}

#[test]
fn the_key_opens_mibeacon() {
    let listener = Listener::with_key(KEY);
    assert_eq!(hear(&listener, 0xfe95, &mibeacon(7, 0), 0), Ok(named(&[("temperature", 21.5)])));
}

#[test]
fn the_counter_of_mibeacon_goes_on_where_its_packet_number_turns_over() {
    let listener = Listener::with_key(KEY);
    assert!(!hear(&listener, 0xfe95, &mibeacon(255, 1), 0).unwrap().is_empty());
    assert!(!hear(&listener, 0xfe95, &mibeacon(0, 2), 1).unwrap().is_empty());
    assert_eq!(hear(&listener, 0xfe95, &mibeacon(0, 2), 2), Ok(vec![]), "sent twice");
    let replay = BleProblem::Replay { last: 512, now: 511 };
    assert_eq!(hear(&listener, 0xfe95, &mibeacon(255, 1), 3), Err(replay));
}

#[test]
fn the_key_opens_pvvx_and_atc1441() {
    let sealed = |length: u8, text: &str| {
        let head = [length, 0x16, 0x1a, 0x18, 42];
        let (text, tag) = seal::<U11>(&[&hex(REVERSED)[..], &head].concat(), &[0x11], text);
        written(&[&[42], &text, &tag])
    };
    let pvvx = hear(&Listener::with_key(KEY), 0x181a, &sealed(14, "6608 7C15 58 05"), 0);
    assert_eq!(pvvx, Ok(named(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)])));
    let atc = hear(&Listener::with_key(KEY), 0x181a, &sealed(11, "7B 6E D8"), 0);
    assert_eq!(atc, Ok(named(&[("temperature", 21.5), ("humidity", 55.0), ("battery", 88.0)])));
}

#[test]
fn the_short_key_opens_the_first_encryption_of_mibeacon() {
    // CCM without its tag is counter mode; the library's own, from the same nonce.
    let short = "001122334455 66778899aabb";
    let whole: [u8; 16] = hex("001122334455 8d3d3c97 66778899aabb").try_into().unwrap();
    let head = hex("5830 5301 09");
    let counter = hex("010203");
    let nonce = [&head[..], &counter, &hex(REVERSED)[..5]].concat();
    let mut text = hex("0110 03 000000");
    let cipher = Ccm::<Aes128, U4, U13>::new(&whole.into());
    let nonce = nonce.as_slice().try_into().unwrap();
    cipher.encrypt_inout_detached(nonce, &[0x11], text.as_mut_slice().into()).unwrap();
    let data = written(&[&head, &hex(REVERSED), &text, &counter, &[0]]);
    let key = short.replace(' ', "");
    assert_eq!(hear(&Listener::with_key(&key), 0xfe95, &data, 0), Ok(named(&[("action_on.single", 1.0)])));
    let wrong = key.replace("00", "01");
    assert_eq!(hear(&Listener::with_key(&wrong), 0xfe95, &data, 0), Err(BleProblem::WrongKey));
}

#[test]
fn without_the_key_the_error_says_what_to_do() {
    let none = Listener::new(Keys::new());
    let problem = hear(&none, 0xfcd2, &bthome_2(1), 0).unwrap_err();
    assert_eq!(problem, BleProblem::NoKey);
    assert!(problem.to_string().contains("bindkey_file"), "{problem}");
    let problem = hear(&Listener::with_key(OTHER_KEY), 0xfcd2, &bthome_2(1), 0).unwrap_err();
    assert_eq!(problem, BleProblem::WrongKey);
    assert!(problem.to_string().contains("bindkey_file"), "{problem}");
    let short = Listener::with_key("00112233445566778899aabb");
    assert_eq!(hear(&short, 0xfcd2, &bthome_2(1), 0), Err(BleProblem::KeyLength { expected: 32 }));
}

#[test]
fn a_device_with_a_key_is_not_believed_in_plain_text() {
    let listener = Listener::with_key(KEY);
    for (service, data) in [
        (0xfcd2, "40 01 61"),
        (0x181c, "02 01 61"),
        (0xfe95, "4050 5b05 01 0a10 01 61"),
        (0x181a, "A4C1380A0B0C 00D7 37 58 0B5E 01"),
    ] {
        assert_eq!(hear(&listener, service, data, 0), Err(BleProblem::NotEncrypted), "{service:04x}");
    }
}

#[test]
fn a_recording_that_is_played_again_is_refused() {
    let listener = Listener::with_key(KEY);
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(500), 0).unwrap().len(), 1);
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(500), 1), Ok(vec![]), "sent twice");
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(501), 2).unwrap().len(), 1);
    let replay = BleProblem::Replay { last: 501, now: 500 };
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(500), 9000), Err(replay));
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(3), 3), Err(BleProblem::Replay { last: 501, now: 3 }));
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(3), 70).unwrap().len(), 1, "a new battery");
}

#[test]
fn what_is_forged_does_not_move_the_counter() {
    let listener = Listener::with_key(KEY);
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(500), 0).unwrap().len(), 1);
    let mut forged = bthome_2(u32::MAX);
    forged.replace_range(forged.len() - 2.., "00");
    assert_eq!(hear(&listener, 0xfcd2, &forged, 1), Err(BleProblem::WrongKey));
    assert_eq!(hear(&listener, 0xfcd2, &bthome_2(501), 2).unwrap().len(), 1);
}

#[test]
fn a_key_is_never_shown_and_a_wrong_one_is_refused() {
    let key: BindKey = KEY.parse().unwrap();
    assert_eq!(format!("{key:?}"), "BindKey");
    for wrong in
        ["", "0011", &KEY[1..], "g0112233445566778899aabbccddeeff", "ÿ0112233445566778899aabbccddeef"]
    {
        assert!(wrong.parse::<BindKey>().is_err(), "{wrong}");
    }
    assert!(format!(" {KEY}\n").parse::<BindKey>().is_ok());
}
