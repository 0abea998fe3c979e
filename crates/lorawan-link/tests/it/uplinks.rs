//! The reports about devices' frames to the host.

use std::collections::HashSet;

use jiff::SignedDuration;
use lorawan_link::{Activation, Claimed, Data, DevAddr, Key, Output, Reason, Session, Settings};

use crate::support::{
    HERE, Host, NETWORK_KEY, Up, abp, address, confirmed, datagram, dev_eui, gateway_eui, host, rxpk,
    settings, up, wall,
};

#[test]
fn a_frame_is_told_with_its_payload_its_radio_and_what_was_lost_before_it() {
    let mut host = host();
    host.uplink(&up(3));
    let uplink = host.uplink(&up(6));
    assert_eq!((uplink.device, uplink.f_cnt, uplink.frames_lost), (dev_eui(1), 6, 2));
    assert_eq!(uplink.data, Some(Data { f_port: 7, payload: b"21.5".to_vec() }));
    let best = &uplink.receivers[0];
    assert_eq!((best.gateway, best.rssi, best.snr), (gateway_eui(HERE), -90.0, Some(5.0)));
    assert_eq!((best.frequency, best.data_rate.to_string().as_str()), (868_300_000, "SF9BW125"));
    assert_eq!(uplink.airtime.as_micros(), 164_864);
}

#[test]
fn two_forwarders_make_one_uplink_and_a_late_copy_none() {
    let mut host = host();
    host.push(1, &up(0), 2.0);
    host.pass(150);
    host.push(2, &up(0), 7.0);
    host.pass(49);
    assert!(host.uplinks().is_empty());
    host.pass(1);
    let uplink = host.only_uplink();
    let order: Vec<_> = uplink.receivers.iter().map(|receiver| receiver.gateway).collect();
    assert_eq!(order, [gateway_eui(2), gateway_eui(1)]);
    host.push(3, &up(0), 9.0);
    host.pass(300);
    assert!(host.uplinks().is_empty());
    assert_eq!(host.refusals(), [Reason::LateCopy]);
    // The same forwarder again, or anyone much later: somebody sends what he has recorded.
    host.push(2, &up(0), 9.0);
    host.pass(10_000);
    host.push(3, &up(0), 9.0);
    assert_eq!(host.refusals(), [Reason::Replay, Reason::Replay]);
}

#[test]
fn bad_frames_move_no_counter() {
    let mut host = host();
    host.uplink(&up(5));
    let mut forged = up(9);
    *forged.last_mut().unwrap() ^= 1;
    host.push(HERE, &forged, 5.0);
    host.push(HERE, &up(5), 5.0);
    host.push(HERE, &up(4), 5.0);
    host.push(HERE, &up(30_000), 5.0);
    host.pass(300);
    assert_eq!(host.refusals(), [Reason::Mic, Reason::Replay, Reason::Replay, Reason::Gap]);
    assert_eq!(host.uplink(&up(6)).frames_lost, 0);
}

#[test]
fn the_counter_goes_on_behind_16_bits() {
    let mut host = host();
    for f_cnt in [65_534, 65_535, 65_536, 65_540, 70_000, 81_000, 97_000, 113_000, 129_000, 131_071, 131_072]
    {
        assert_eq!(host.uplink(&up(f_cnt)).f_cnt, f_cnt);
    }
}

#[test]
fn devices_that_share_an_address_are_told_apart_by_their_keys() {
    let mut host = host();
    let mut other = abp(2);
    let Activation::Abp(session) = &mut other.activation else { panic!("an ABP device") };
    session.address = DevAddr::from_le_bytes([1, 0, 0, 0x26]);
    session.nwk_s_key = Key::new([9; 16]);
    host.network.add(other, None);
    assert_eq!(host.uplink(&up(0)).device, dev_eui(1));
    let mut creator = lorawan::creator::DataPayloadCreator::new();
    creator.set_uplink(true).set_dev_addr(&[1, 0, 0, 0x26]).set_fcnt(0).set_f_port(7);
    let phy = creator.build(b"x", &[], &[9; 16].into(), &[2; 16].into()).unwrap();
    assert_eq!(host.uplink(phy).device, dev_eui(2));
    host.network.remove(dev_eui(1));
    assert_eq!(host.network.memory_use().devices, 1);
    host.push(HERE, &up(1), 5.0);
    assert_eq!(host.refusals(), [Reason::Mic]);
}

#[test]
fn a_device_that_was_reset_is_heard_again_only_where_its_owner_says_so() {
    for resets in [false, true] {
        let mut host = host();
        let mut config = abp(1);
        let Activation::Abp(session) = &mut config.activation else { panic!("an ABP device") };
        session.resets = resets;
        host.network.add(config, None);
        host.uplink(&up(16_000));
        host.push(HERE, &up(0), 5.0);
        host.pass(300);
        let expected = if resets { (1, 0) } else { (0, 1) };
        assert_eq!((host.uplinks().len(), host.refusals().len()), expected);
    }
}

#[test]
fn a_forwarders_time_counts_where_it_is_near() {
    let mut host = host();
    let times = [(-59, true), (59, true), (61, false), (-1_000_000, false)];
    for (f_cnt, (seconds, near)) in (0..).zip(times) {
        let time = wall() + SignedDuration::from_secs(seconds);
        let mut frame = rxpk(0, &up(f_cnt), 5.0);
        frame["time"] = time.to_string().into();
        host.millis = 0;
        host.receive(HERE, &datagram(0, HERE, &serde_json::json!({"rxpk": [frame]}).to_string()));
        host.millis = 200;
        let now = host.now();
        host.network.timeout(now);
        host.outputs.extend(std::iter::from_fn(|| host.network.poll()));
        assert_eq!(host.only_uplink().time, if near { time } else { wall() }, "{seconds}");
    }
}

#[test]
fn a_restart_goes_on_where_the_store_is() {
    let mut before = host();
    before.uplink(&up(70_000 - 65_536));
    before.uplink(&up(16_000));
    let (token, state) = before.stores().unwrap();
    assert_eq!(token.device, dev_eui(1));
    let stored = serde_json::to_string(&state).unwrap();
    let mut after = Host::new(settings());
    after.network.add(abp(1), Some(serde_json::from_str(&stored).unwrap()));
    after.push(HERE, &up(16_000), 5.0);
    assert_eq!(after.refusals(), [Reason::Replay]);
    assert_eq!(after.uplink(&up(16_001)).frames_lost, 0);
}

#[test]
fn other_keys_than_those_stored_start_a_new_session() {
    let mut host = host();
    host.uplink(&up(500));
    let mut state = host.network.remove(dev_eui(1)).unwrap();
    let session = state.session.as_mut().unwrap();
    let rx = session.rx;
    *session = Session::new(session.address, Key::new([8; 16]), Key::new(NETWORK_KEY), Some(500), rx);
    host.network.add(abp(1), Some(state));
    assert_eq!(host.uplink(&up(0)).f_cnt, 0);
}

#[test]
fn only_forwarders_in_the_list_are_heard() {
    let allowed_gateways = Some(HashSet::from([gateway_eui(1)]));
    let mut host = Host::new(Settings { allowed_gateways, ..settings() });
    host.network.add(abp(1), None);
    host.push(2, &up(0), 5.0);
    let expected = Output::Refused {
        reason: Reason::GatewayUnknown,
        from: address(2),
        gateway: Some(gateway_eui(2)),
        claimed: None,
    };
    assert_eq!(host.outputs(), [expected]);
    assert_eq!(host.uplink(&up(0)).receivers.len(), 1);
}

#[test]
fn what_is_refused_is_counted_and_says_who_it_claims_to_be() {
    let mut host = host();
    host.push(HERE, &Up { number: 77, ..Up::default() }.phy(), 5.0);
    host.push(HERE, &Up { number: 77, ..Up::default() }.phy(), 5.0);
    assert_eq!(host.network.refused().collect::<Vec<_>>(), [(Reason::AddressUnknown, 2)]);
    let claimed = Some(Claimed::Address(DevAddr::from_le_bytes([77, 0, 0, 0x26])));
    let of = |output: &Output| matches!(output, Output::Refused { claimed: who, .. } if *who == claimed);
    assert_eq!(host.outputs().iter().filter(|output| of(output)).count(), 2);
}

#[test]
fn frames_without_a_checksum_are_taken_by_policy_only() {
    for accept_missing_crc in [false, true] {
        let mut host = Host::new(Settings { accept_missing_crc, ..settings() });
        host.network.add(abp(1), None);
        for (f_cnt, stat) in [(0, -1), (1, 0)] {
            let mut frame = rxpk(0, &up(f_cnt), 5.0);
            frame["stat"] = stat.into();
            host.receive(HERE, &datagram(0, HERE, &serde_json::json!({"rxpk": [frame]}).to_string()));
        }
        host.pass(200);
        let expected: &[_] =
            if accept_missing_crc { &[Reason::CrcFailed] } else { &[Reason::CrcFailed, Reason::CrcMissing] };
        assert_eq!(
            (host.refusals().as_slice(), host.uplinks().len()),
            (expected, usize::from(accept_missing_crc))
        );
    }
}

#[test]
fn commands_under_port_zero_are_no_data() {
    let mut host = host();
    let uplink = host.uplink(&Up { f_port: 0, commands: &[&[0x06, 0xff, 0x14]], ..Up::default() }.phy());
    assert_eq!((uplink.data, uplink.status.unwrap().margin), (None, 20));
    let status = host
        .uplink(&Up { f_cnt: 1, commands: &[&[0x06, 0x80, 0x3f]], ..Up::default() }.phy())
        .status
        .unwrap();
    assert_eq!((status.battery.percent().unwrap().round(), status.margin), (50.0, -1));
}

#[test]
fn a_frame_again_is_told_again_if_the_host_has_not_said_that_it_has_it() {
    let mut before = host();
    before.uplink(&confirmed(4));
    let (_, state) = before.stores().unwrap();
    let mut after = Host::new(settings());
    after.network.add(abp(1), Some(state));
    let uplink = after.uplink(&confirmed(4));
    assert_eq!((uplink.f_cnt, uplink.frames_lost), (4, 0));
    assert_eq!(after.refusals(), [Reason::Repeated]);
}
