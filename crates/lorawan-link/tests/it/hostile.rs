//! For any bytes: no panic, no growth, and only the protocol's own answers.

use lorawan_link::{Output, Settings, Transmission};
use proptest::prelude::*;

use crate::support::{
    HERE, Host, Up, abp, confirmed, datagram, dev_eui, join_request, otaa, rxpk, settings, up,
};

/// Narrow bounds, so that growth shows.
fn narrow() -> Settings {
    Settings { gateways: 3, held: 4, transmissions: 4, receivers: 2, queue: 2, ..settings() }
}

fn hosts() -> Host {
    let mut host = Host::new(narrow());
    host.network.add(abp(1), None);
    host.network.add(otaa(2), None);
    host.pull(HERE);
    host.outputs();
    host
}

fn assert_bounded(host: &Host) {
    let held = host.network.memory_use();
    assert!(held.gateways <= 3 && held.held <= 5 && held.transmissions <= 4 && held.queued <= 2, "{held:?}");
}

/// The host answers all outputs.
fn answer_all(host: &mut Host) {
    for output in host.outputs() {
        match output {
            Output::Store { token, .. } => host.stored(token),
            Output::Uplink(uplink) => {
                assert!(!uplink.receivers.is_empty());
                host.taken(uplink.token);
            }
            Output::Send { bytes, .. } | Output::Transmit(Transmission { bytes, .. }) => {
                assert!(bytes.len() < 700, "{}", bytes.len());
            }
            _ => {}
        }
    }
}

/// Three bytes are tried out beside the head's decoder, all of them.
#[test]
fn every_datagram_of_up_to_two_bytes_is_met_with_silence() {
    let mut host = hosts();
    let short = (0..=u16::MAX).flat_map(|number| [number.to_be_bytes().to_vec(), vec![number as u8]]);
    for bytes in short.chain([vec![]]) {
        host.receive(HERE, &bytes);
        let refused = host.outputs();
        assert!(matches!(refused[..], [Output::Refused { .. }]), "{bytes:x?}: {refused:?}");
    }
    assert_eq!(host.network.memory_use().gateways, 1);
}

/// Datagrams of all kinds with right frames.
fn good() -> Vec<Vec<u8>> {
    let body = |phys: &[Vec<u8>]| {
        let frames: Vec<_> = phys.iter().map(|phy| rxpk(7, phy, 5.0)).collect();
        serde_json::json!({ "rxpk": frames, "stat": {"lati": 46.24, "rxnb": 2} }).to_string()
    };
    let commands = Up { f_cnt: 9, commands: &[&[2], &[13], &[6, 1, 2]], ..Up::default() }.phy();
    vec![
        datagram(0, HERE, &body(&[up(1), confirmed(2), commands])),
        datagram(0, HERE, &body(&[join_request(2, 5)])),
        datagram(0, 2, &body(&[Up { f_cnt: 300, f_ctrl: 0xe0, ..Up::default() }.phy()])),
        datagram(2, HERE, ""),
        datagram(5, HERE, r#"{"txpk_ack":{"error":"TOO_LATE"}}"#),
    ]
}

#[test]
fn a_hundred_thousand_changed_datagrams_do_no_harm() {
    let good = good();
    let mut host = hosts();
    let mut random = 1_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below.max(1)
    };
    for round in 0..100_000 {
        let mut bytes = good[next(good.len())].clone();
        for _ in 0..=next(4) {
            let place = next(bytes.len());
            bytes[place] = next(256) as u8;
        }
        if next(4) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        host.receive(HERE, &bytes);
        answer_all(&mut host);
        if round % 16 == 0 {
            let now = host.now();
            let _ = host.network.send(dev_eui(1), 1, vec![1], true, now);
            host.pass(next(500) as u64);
        }
        assert_bounded(&host);
    }
    let state = host.network.state(dev_eui(1)).unwrap().session.clone().unwrap();
    assert!(
        state.last_up.is_none_or(|last| [1, 2, 9, 300].contains(&last.f_cnt)),
        "only right frames move a counter"
    );
}

/// Changes in the frame alone, with the base64 right: they get past JSON.
#[test]
fn changed_frames_move_no_counter() {
    let mut host = hosts();
    host.uplink(&up(5));
    let before = host.network.state(dev_eui(1)).cloned();
    for place in 0..up(6).len() {
        for bit in 0..8 {
            let mut phy = up(6);
            phy[place] ^= 1 << bit;
            host.push(HERE, &phy, 5.0);
            host.pass(300);
            assert!(host.uplinks().is_empty(), "byte {place} bit {bit}");
        }
    }
    assert_eq!(host.network.state(dev_eui(1)).cloned(), before);
    assert_eq!(host.uplink(&up(6)).f_cnt, 6);
}

#[test]
fn a_flood_of_right_frames_is_bounded() {
    let mut host = hosts();
    for f_cnt in 0..2_000 {
        host.push(HERE, &up(f_cnt), 5.0);
        assert_bounded(&host);
    }
    host.pass(1_000);
    assert_eq!(host.uplinks().len(), 2_000, "none is lost");
}

proptest! {
    #[test]
    fn any_bytes_are_taken(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut host = hosts();
        for mut bytes in datagrams {
            if let [first, _, _, kind, ..] = &mut bytes[..] {
                *first = 1 + *first % 2;
                *kind %= 6;
            }
            host.receive(HERE, &bytes);
            answer_all(&mut host);
            host.pass(50);
            assert_bounded(&host);
        }
    }

    #[test]
    fn any_frame_is_taken(phys in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20), snr in -200.0..200.0) {
        let mut host = hosts();
        for phy in phys {
            host.push(HERE, &phy, snr);
            answer_all(&mut host);
            host.pass(50);
            assert_bounded(&host);
        }
    }

    #[test]
    fn any_value_in_a_received_frame_is_taken(name in "tmst|freq|datr|rssi|lsnr|size|data|rsig|time|stat|tmms", value in any_json()) {
        let mut host = hosts();
        let mut frame = rxpk(7, &up(1), 5.0);
        frame[name] = value;
        host.receive(HERE, &datagram(0, HERE, &serde_json::json!({ "rxpk": [frame] }).to_string()));
        host.pass(300);
        answer_all(&mut host);
        assert_bounded(&host);
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        ".*".prop_map(Into::into),
        Just(serde_json::Value::Null),
        Just(serde_json::json!([{"ant": 1e300, "rssic": -1e300}, 7])),
    ]
}
