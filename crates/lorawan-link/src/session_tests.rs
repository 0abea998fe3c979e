use lorawan::creator::DataPayloadCreator;
use lorawan::keys::AES128;
use lorawan::parser::DecryptedDataPayload;

use super::*;
use crate::frame::Frame;

const NETWORK: [u8; 16] = [1; 16];
const APP: [u8; 16] = [2; 16];

fn session(last: Option<u32>) -> Session {
    let rx = RxParameters::of(Region::Eu868);
    Session::new(DevAddr::new(0x2601_1bda), Key::new(NETWORK), Key::new(APP), last, rx)
}

/// A frame made by crate `lorawan`.
fn uplink(f_cnt: u32, payload: &[u8], network: [u8; 16]) -> Vec<u8> {
    let mut creator = DataPayloadCreator::new();
    creator.set_uplink(true).set_dev_addr(&[0xda, 0x1b, 0x01, 0x26]).set_fcnt(f_cnt).set_f_port(7);
    creator.build(payload, &[], &network.into(), &APP.into()).unwrap().to_vec()
}

fn judge(session: &Session, phy: &[u8], resets: bool) -> Verdict {
    let Frame::Data(frame) = Frame::parse(phy).unwrap() else { panic!("a data frame") };
    session.judge(&frame, MAX_FCNT_GAP, resets)
}

/// Judges a frame with this counter.
fn judge_count(last: Option<u32>, f_cnt: u32) -> Verdict {
    judge(&session(last), &uplink(f_cnt, b"x", NETWORK), false)
}

#[test]
fn a_session_starts_with_any_counter_of_16_bits() {
    for f_cnt in [0, 1, 65_533, 65_535] {
        assert_eq!(judge_count(None, f_cnt), Verdict::New { f_cnt, lost: 0 });
    }
    assert_eq!(judge_count(None, 65_536), Verdict::Refused(Reason::Mic));
}

#[test]
fn the_high_half_of_the_counter_goes_on_when_the_low_one_starts_again() {
    assert_eq!(judge_count(Some(65_535), 65_536), Verdict::New { f_cnt: 65_536, lost: 0 });
    assert_eq!(judge_count(Some(65_530), 65_540), Verdict::New { f_cnt: 65_540, lost: 9 });
    assert_eq!(judge_count(Some(131_070), 131_072), Verdict::New { f_cnt: 131_072, lost: 1 });
    assert_eq!(judge_count(Some(u32::MAX - 1), u32::MAX), Verdict::New { f_cnt: u32::MAX, lost: 0 });
    assert_eq!(judge_count(Some(u32::MAX), 5), Verdict::Refused(Reason::Replay));
}

#[test]
fn frames_that_lie_behind_are_replays_also_across_the_rollover() {
    assert_eq!(judge_count(Some(10), 9), Verdict::Refused(Reason::Replay));
    assert_eq!(judge_count(Some(65_540), 65_536), Verdict::Refused(Reason::Replay));
    assert_eq!(judge_count(Some(65_540), 65_535), Verdict::Refused(Reason::Replay));
    assert_eq!(judge_count(Some(10), 10), Verdict::Refused(Reason::Replay), "of a restored session");
}

#[test]
fn a_counter_too_far_ahead_is_refused() {
    assert_eq!(
        judge_count(Some(0), MAX_FCNT_GAP),
        Verdict::New { f_cnt: MAX_FCNT_GAP, lost: MAX_FCNT_GAP - 1 }
    );
    assert_eq!(judge_count(Some(0), MAX_FCNT_GAP + 1), Verdict::Refused(Reason::Gap));
}

#[test]
fn the_last_frame_again_is_known_by_its_code() {
    let mut session = session(Some(5));
    let phy = uplink(6, b"x", NETWORK);
    let Frame::Data(frame) = Frame::parse(&phy).unwrap() else { panic!("a data frame") };
    session.accept(6, frame.mic);
    assert_eq!(judge(&session, &phy, false), Verdict::Repeated { f_cnt: 6 });
    assert_eq!(judge(&session, &uplink(6, b"y", NETWORK), false), Verdict::Refused(Reason::Replay));
}

#[test]
fn a_device_that_may_start_again_is_believed_at_its_first_frames_only() {
    let session = session(Some(16_000));
    assert_eq!(judge(&session, &uplink(0, b"x", NETWORK), true), Verdict::Reset { f_cnt: 0 });
    assert_eq!(
        judge(&session, &uplink(MAX_RESET_COUNTER, b"x", NETWORK), true),
        Verdict::Refused(Reason::Replay)
    );
    assert_eq!(judge(&session, &uplink(0, b"x", NETWORK), false), Verdict::Refused(Reason::Replay));
}

#[test]
fn another_key_is_another_device() {
    assert_eq!(judge(&session(None), &uplink(0, b"x", [9; 16]), true), Verdict::Refused(Reason::Mic));
    assert_eq!(judge(&session(Some(7)), &uplink(8, b"x", [9; 16]), true), Verdict::Refused(Reason::Mic));
}

#[test]
fn a_device_reads_what_is_encoded_for_it() {
    let mut session = session(None);
    session.f_cnt_down = 70_000;
    let frame = DataDown {
        confirmed: true,
        ack: true,
        pending: true,
        f_opts: vec![0x02, 5, 1],
        data: Some((9, b"seventeen bytes..".to_vec())),
        ..DataDown::default()
    };
    let length = frame.length();
    let (phy, _) = session.encode(frame).unwrap();
    assert_eq!((phy.len(), phy[5], &phy[8..11]), (length, 0x33, &[0x02, 5, 1][..]));
    let read = DecryptedDataPayload::new(phy, &AES128(NETWORK), Some(&AES128(APP)), 70_000)
        .expect("its MIC is right");
    assert_eq!(read.frm_payload(), lorawan::parser::FRMPayload::Data(b"seventeen bytes.."));
}

#[test]
fn no_counter_of_a_downlink_is_used_twice_whenever_the_session_was_stored() {
    let mut session = session(None);
    let mut stored = serde_json::to_string(&session).unwrap();
    let mut used = Vec::new();
    for round in 0..200 {
        let (phy, store) = session.encode(DataDown::default()).unwrap();
        used.push(u16::from_le_bytes([phy[6], phy[7]]));
        if store {
            stored = serde_json::to_string(&session).unwrap();
        }
        if round % 7 == 0 {
            // The process ends here and goes on with what was stored.
            session = serde_json::from_str(&stored).unwrap();
        }
    }
    assert!(used.is_sorted_by(|a, b| a < b), "{used:?}");
}

#[test]
fn a_used_up_counter_ends_a_session() {
    let mut session = session(None);
    session.f_cnt_down = u32::MAX;
    assert_eq!(session.encode(DataDown::default()), None);
}

#[test]
fn a_session_does_not_print_its_keys() {
    let text = format!("{:?}", session(None));
    assert!(text.contains("26011bda") && text.contains("Key(…)") && !text.contains("[1, 1"), "{text}");
}
