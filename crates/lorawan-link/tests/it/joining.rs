//! Over-the-air activation, with frames made by hand: what is offered when, and what is refused.

use lorawan::keys::AppKey;
use lorawan::parser::DecryptedJoinAcceptPayload;
use lorawan_link::{DevAddr, Output, Reason, Region, Settings};

use crate::support::{APP_KEY, HERE, Host, abp, dev_eui, host, join_request, otaa, settings, up};

fn joining_host() -> Host {
    let mut host = Host::new(settings());
    host.network.add(otaa(1), None);
    host.pull(HERE);
    host.outputs();
    host
}

#[test]
fn an_accept_leaves_only_when_the_session_is_stored() {
    let mut host = joining_host();
    let end = host.tmst();
    host.push(HERE, &join_request(1, 1), 5.0);
    host.pass(1_000);
    assert!(host.sent().is_empty());
    let (token, state) = host.stores().unwrap();
    assert_eq!((token.device, state.app_nonces, state.dev_nonces.len()), (dev_eui(1), 1, 1));
    assert!(state.offered.is_some() && state.session.is_none());
    host.stored(token);
    let sent = host.only_sent();
    assert_eq!(
        (sent.tmst, sent.frequency, sent.data_rate.as_str()),
        (Some(end.wrapping_add(5_000_000)), 868.3, "SF9BW125")
    );
    let accept = DecryptedJoinAcceptPayload::new(sent.phy, &AppKey::from(APP_KEY)).expect("its MIC is right");
    assert_eq!((accept.rx_delay(), accept.dl_settings().raw_value()), (5, 0));
    assert!(accept.c_f_list().is_some());
    host.stored(token);
    assert!(host.sent().is_empty(), "once");
}

#[test]
fn an_accept_that_is_late_leaves_in_the_second_window_or_not_at_all() {
    for (millis, expected) in [(4_800, 868.3), (4_801, 869.525), (5_800, 869.525)] {
        let mut host = joining_host();
        host.push(HERE, &join_request(1, 1), 5.0);
        host.pass(millis);
        let (token, _) = host.stores().unwrap();
        host.stored(token);
        assert_eq!(host.only_sent().frequency, expected, "{millis}");
    }
    let mut host = joining_host();
    host.push(HERE, &join_request(1, 1), 5.0);
    host.pass(5_801);
    let (token, _) = host.stores().unwrap();
    host.stored(token);
    assert!(host.sent().is_empty());
}

#[test]
fn an_accept_that_a_forwarder_refuses_is_tried_in_the_second_window() {
    let mut host = joining_host();
    host.push(HERE, &join_request(1, 1), 5.0);
    host.pass(200);
    let (token, _) = host.stores().unwrap();
    host.stored(token);
    let first = host.only_sent();
    host.tx_ack(&first, "COLLISION_PACKET");
    let second = host.only_sent();
    assert_eq!((second.frequency, &second.phy), (869.525, &first.phy));
    host.tx_ack(&second, "TOO_LATE");
    assert!(host.sent().is_empty() && host.outcomes().is_empty());
}

#[test]
fn rejects_a_join_with_a_replayed_nonce_another_join_eui_or_a_wrong_key() {
    let mut host = joining_host();
    host.push(HERE, &join_request(1, 1), 5.0);
    host.pass(300);
    host.push(HERE, &join_request(1, 1), 5.0);
    host.push(HERE, &join_request(2, 1), 5.0);
    let mut forged = join_request(1, 2);
    forged[22] ^= 1;
    host.push(HERE, &forged, 5.0);
    let mut elsewhere = join_request(1, 3);
    elsewhere[1] ^= 1;
    host.push(HERE, &elsewhere, 5.0);
    assert_eq!(host.refusals(), [Reason::DevNonce, Reason::DeviceUnknown, Reason::Mic, Reason::JoinEui]);
    host.network.add(abp(1), None);
    host.push(HERE, &join_request(1, 4), 5.0);
    assert_eq!(host.refusals(), [Reason::JoinEui], "an ABP device does not join");
}

#[test]
fn a_nonce_is_remembered_over_a_restart_and_the_networks_own_is_never_used_again() {
    let mut host = joining_host();
    let mut app_nonces = Vec::new();
    for dev_nonce in 1..=5 {
        host.push(HERE, &join_request(1, dev_nonce), 5.0);
        host.pass(300);
        let (token, state) = host.stores().unwrap();
        host.stored(token);
        let accept = DecryptedJoinAcceptPayload::new(host.only_sent().phy, &AppKey::from(APP_KEY)).unwrap();
        app_nonces.push(accept.app_nonce().as_ref().to_vec());
        let stored = serde_json::to_string(&state).unwrap();
        host = Host::new(settings());
        host.network.add(otaa(1), Some(serde_json::from_str(&stored).unwrap()));
        host.pull(HERE);
        host.push(HERE, &join_request(1, dev_nonce), 5.0);
        assert_eq!(host.refusals(), [Reason::DevNonce]);
    }
    app_nonces.sort();
    app_nonces.dedup();
    assert_eq!(app_nonces.len(), 5);
}

#[test]
fn two_forwarders_that_hear_a_request_make_one_join() {
    let mut host = joining_host();
    host.pull(2);
    host.push(HERE, &join_request(1, 1), 5.0);
    host.push(2, &join_request(1, 1), 9.0);
    host.pass(200);
    assert!(host.refusals().is_empty());
    let (token, state) = host.stores().unwrap();
    assert_eq!(state.app_nonces, 1);
    host.stored(token);
    assert_eq!(host.only_sent().gateway, 2);
}

#[test]
fn addresses_belong_to_the_network_and_to_one_device_each() {
    let net_id = "000013".parse().unwrap();
    let mut host = Host::new(Settings { net_id, ..settings() });
    let mut addresses = Vec::new();
    for number in 1..=300 {
        host.network.add(otaa(number), None);
        host.push(HERE, &join_request(number, 1), 5.0);
        host.pass(300);
        let (_, state) = host.stores().unwrap();
        addresses.push(state.offered.unwrap().address);
    }
    assert!(
        addresses.iter().all(|address| ["26", "27"].contains(&&address.to_string()[..2])),
        "{addresses:?}"
    );
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 300);
}

#[test]
fn a_network_without_a_free_address_says_so() {
    // Type 7: 128 addresses.
    let net_id = "e00001".parse().unwrap();
    let mut host = Host::new(Settings { net_id, ..settings() });
    for number in 1..=130 {
        host.network.add(otaa(number), None);
        host.push(HERE, &join_request(number, 1), 5.0);
        host.pass(300);
    }
    assert_eq!(host.network.refused().collect::<Vec<_>>(), [(Reason::JoinExhausted, 2)]);
}

#[test]
fn an_offer_that_is_not_used_leaves_the_session_in_use_alone() {
    let mut host = host();
    host.uplink(&up(5));
    let state = host.network.remove(dev_eui(1)).unwrap();
    host.network.add(otaa(1), Some(state));
    host.push(HERE, &join_request(1, 1), 5.0);
    host.pass(300);
    assert_eq!(host.uplink(&up(6)).f_cnt, 6);
    let state = host.network.state(dev_eui(1)).unwrap();
    assert_eq!(state.session.as_ref().unwrap().address, DevAddr::from_le_bytes([1, 0, 0, 0x26]));
    assert!(state.offered.is_some());
    assert!(!host.outputs().iter().any(|output| matches!(output, Output::Joined { .. })));
}

#[test]
fn a_gateway_of_america_answers_on_its_own_channels() {
    let mut host =
        Host::new(Settings { sub_band: Some(1), status_every: None, ..Settings::new(Region::Us915) });
    host.network.add(otaa(1), None);
    host.pull(HERE);
    let mut frame = crate::support::rxpk(0, &join_request(1, 1), 5.0);
    frame["freq"] = 904.1.into();
    frame["datr"] = "SF10BW125".into();
    host.receive(HERE, &crate::support::datagram(0, HERE, &serde_json::json!({"rxpk": [frame]}).to_string()));
    host.pass(200);
    let (token, _) = host.stores().unwrap();
    host.stored(token);
    let sent = host.only_sent();
    assert_eq!((sent.frequency, sent.data_rate.as_str(), sent.power), (923.9, "SF10BW500", 27));
}
