use gateway_core::CodecId;
use serde_json::{Value, json};

use super::*;
use crate::downlink::{DownlinkContent, DownlinkTarget};
use crate::mqtt::downlink::Downlink;

const EUI: &str = "70b3d57ed0000001";

fn route(filter: &str, server: Option<NetworkServer>) -> Route {
    let filter = TopicFilter::parse(filter).unwrap();
    Route { filter, codec: CodecId(0), names_with_slashes: false, server }
}

fn addresses(filter: &str, format: &str) -> (Addresses, Route) {
    let route = route(filter, NetworkServer::of_format(format));
    (Addresses::new(std::slice::from_ref(&route)), route)
}

fn part(addresses: &Addresses, device: &str) -> Option<String> {
    addresses.of(device).map(|address| address.device_part.into())
}

#[test]
fn a_filter_with_the_application_gives_the_address_of_every_device() {
    let (ttn, _) = addresses("v3/floors@ttn/devices/{device}/up", "ttn");
    assert_eq!(part(&ttn, "lounge").unwrap(), "v3/floors@ttn/devices/lounge");
    assert_eq!(part(&ttn, EUI), None, "the server's name for it is not known");
    let (chirpstack, _) = addresses("application/7/device/{device}/event/+", "chirpstack");
    assert_eq!(part(&chirpstack, "70B3D57ED0000001").unwrap(), format!("application/7/device/{EUI}"));
    let both = ["application/7/device/{device}/event/up", "v3/floors@ttn/devices/{device}/up"];
    let routes = both.into_iter().zip(["chirpstack", "ttn"]);
    let routes = routes.map(|(filter, format)| route(filter, NetworkServer::of_format(format)));
    let both = Addresses::new(&routes.collect::<Vec<_>>());
    assert_eq!(part(&both, "lounge").unwrap(), "v3/floors@ttn/devices/lounge");
    assert_eq!(part(&both, EUI).unwrap(), format!("application/7/device/{EUI}"));
    let (nobody, _) = addresses("floors/{device}", "json");
    assert_eq!(part(&nobody, "lounge"), None);
}

#[test]
fn behind_a_wildcard_the_address_is_learnt_from_messages() {
    let (ttn, route) = addresses("v3/+/devices/{device}/#", "ttn");
    assert_eq!(part(&ttn, "lounge"), None);
    let mut new_address = Address::of_topic(&route, "v3/floors@ttn/devices/lounge/down/sent");
    let message = json!({ "end_device_ids": { "dev_eui": EUI.to_uppercase() } }).to_string();
    ttn.learn(&mut new_address, message.as_bytes());
    assert_eq!(new_address, None, "each topic is used once");
    for name in ["lounge", EUI] {
        assert_eq!(part(&ttn, name).unwrap(), "v3/floors@ttn/devices/lounge");
    }
    let mut new_address = Address::of_topic(&route, "v3/other@ttn/devices/hall/up");
    ttn.learn(&mut new_address, b"\xff no JSON");
    assert_eq!(part(&ttn, "hall").unwrap(), "v3/other@ttn/devices/hall");
    assert_eq!(Address::of_topic(&self::route("a/{device}", None), "a/b"), None);
}

#[test]
fn the_number_of_learnt_addresses_is_bounded() {
    let (ttn, route) = addresses("v3/+/devices/{device}/up", "ttn");
    for number in 0..=MAX_ADDRESSES {
        ttn.learn(&mut Address::of_topic(&route, &format!("v3/a/devices/d{number}/up")), b"{}");
    }
    assert!(ttn.learnt.lock().unwrap().len() <= MAX_ADDRESSES);
    assert!(part(&ttn, &format!("d{MAX_ADDRESSES}")).is_some(), "the newest is known");
    let long = format!("v3/a/devices/{}/up", "d".repeat(MAX_LENGTH));
    assert_eq!(Address::of_topic(&route, &long), None);
    let names = json!({ "end_device_ids": { "dev_eui": "e".repeat(1_000) } }).to_string();
    ttn.learn(&mut Address::of_topic(&route, "v3/a/devices/hall/up"), names.as_bytes());
    assert_eq!(part(&ttn, &"e".repeat(1_000)), None);
}

fn message(to: &Address, content: DownlinkContent, payload: &[u8]) -> Option<(String, Value)> {
    let target = DownlinkTarget { device: "hall".to_owned(), port: 10, confirmed: true, content };
    let downlink = Downlink { target: &target, payload };
    let (topic, message) = downlink.message(to)?;
    Some((topic, serde_json::from_slice(&message).unwrap()))
}

#[test]
fn each_server_gets_its_own_message_format() {
    let (ttn, _) = addresses("v3/floors@ttn/devices/{device}/up", "ttn");
    let to = ttn.of("lounge").unwrap();
    let common = json!({ "f_port": 10, "confirmed": true, "priority": "NORMAL" });
    let with = |common: &Value, key: &str, value: Value| {
        let mut all = common.clone();
        all[key] = value;
        all
    };
    let (topic, sent) = message(&to, DownlinkContent::Bytes, &[0x0a, 0xff]).unwrap();
    assert_eq!(topic, "v3/floors@ttn/devices/lounge/down/push");
    assert_eq!(sent, json!({ "downlinks": [with(&common, "frm_payload", "Cv8=".into())] }));
    let (_, sent) = message(&to, DownlinkContent::Object, br#"{"led":1}"#).unwrap();
    assert_eq!(sent, json!({ "downlinks": [with(&common, "decoded_payload", json!({ "led": 1 }))] }));

    let (chirpstack, _) = addresses("application/7/device/{device}/event/up", "chirpstack");
    let to = chirpstack.of(EUI).unwrap();
    let common = json!({ "devEui": EUI, "fPort": 10, "confirmed": true });
    let (topic, sent) = message(&to, DownlinkContent::Bytes, &[]).unwrap();
    assert_eq!(topic, format!("application/7/device/{EUI}/command/down"));
    assert_eq!(sent, with(&common, "data", "".into()));
    let (_, sent) = message(&to, DownlinkContent::Object, br#"{"led":1}"#).unwrap();
    assert_eq!(sent, with(&common, "object", json!({ "led": 1 })));
    assert_eq!(message(&to, DownlinkContent::Object, b"[1]"), None);
}
