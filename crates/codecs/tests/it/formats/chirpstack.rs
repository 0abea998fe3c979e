//! `chirpstack`: events of ChirpStack v4.

use codecs::{Codec, DecodeError, Options};
use serde_json::{Value, json};

use crate::formats::support::{ARRIVAL, Message, named};

fn message<'a>(payload: &'a str, topic: &'a str) -> Message<'a> {
    Message { codec: "chirpstack", payload, topic, device: Some("70b3d57ed0001a2b"), ..Message::default() }
}

/// The metrics of an event: `members` beside what all of them have.
fn metrics(members: Value) -> Vec<(String, f64)> {
    message(&event(members), "application/1/device/70b3d57ed0001a2b/event/up").metrics()
}

fn event(members: Value) -> String {
    let mut event = json!({
        "deduplicationId": "3c1f", "time": "2026-11-20T11:00:01.25+01:00",
        "deviceInfo": {"applicationName": "floors", "deviceName": "Room 7", "devEui": "70B3D57ED0001A2B", "tags": {"a": "b"}},
    });
    let Value::Object(members) = members else { unreachable!("members of an object") };
    event.as_object_mut().unwrap().extend(members);
    event.to_string()
}

fn uplink() -> Value {
    json!({
        "devAddr": "00189440", "adr": true, "dr": 3, "fCnt": 0, "fPort": 2, "confirmed": false, "data": "AQI=",
        "object": {"temperature": 21.5, "fault": null, "leak": {"wet": false}},
        "rxInfo": [{"gatewayId": "0016c001f1000000", "rssi": -101, "snr": -3.5, "location": null},
                   {"gatewayId": "0016c001f1000001", "rssi": -97, "snr": 4.0}],
        "txInfo": {"frequency": 867_100_000, "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 9, "codeRate": "CR_4_5"}}},
        "relayRxInfo": null, "joinServerContext": null, "regionConfigId": "eu868",
    })
}

const RADIO: [(&str, f64); 3] = [("rssi", -97.0), ("snr", 4.0), ("spreading_factor", 9.0)];

#[test]
fn an_uplink_measures_what_the_server_decoded_and_how_it_was_heard() {
    let expected = [&[("temperature", 21.5), ("leak.wet", 0.0)], &RADIO[..]].concat();
    assert_eq!(metrics(uplink()), named(&expected));
    let payload = event(uplink());
    let found = message(&payload, "").found();
    assert!(found.iter().all(|it| it.at == Some(ARRIVAL + 1_250)), "{found:?}");
}

#[test]
fn a_device_with_a_codec_of_its_own_is_read_by_it() {
    let table = "fields = [{ name = \"a\", type = \"u8\" }]\n[ports.2]\nfields = [{ name = \"b\", type = \"u16be\" }]\n";
    let own = Codec::from_file("own.toml", table, &codecs::javascript::Engine::default()).unwrap();
    let payload = event(uplink());
    let (metrics, result) = message(&payload, "").metrics_with(&own);
    result.unwrap();
    assert_eq!(metrics, named(&[&[("b", 258.0)], &RADIO[..]].concat()));
}

#[test]
fn an_uplink_with_nulls_for_what_is_not_there_tells_how_it_was_heard() {
    let mut event = uplink();
    event["object"] = Value::Null;
    event["data"] = json!("");
    event["fPort"] = Value::Null;
    assert_eq!(metrics(event.clone()), named(&RADIO));
    event["rxInfo"] = Value::Null;
    event["txInfo"] = Value::Null;
    assert_eq!(metrics(event), [], "an uplink by its `dr`");
}

#[test]
fn bytes_that_nobody_can_read_are_told() {
    let mut undecoded = uplink();
    undecoded["object"] = Value::Null;
    let payload = event(undecoded);
    let error = message(&payload, "").error();
    assert!(matches!(error, DecodeError::NoDeviceCodec));
    assert!(error.to_string().contains("codec = "), "says what to do: {error}");
}

#[test]
fn a_status_measures_battery_and_margin() {
    assert_eq!(
        metrics(json!({"margin": 10, "batteryLevel": 88.3})),
        named(&[("battery", 88.3), ("margin", 10.0)])
    );
    let payload = event(
        json!({"margin": -7, "externalPowerSource": false, "batteryLevelUnavailable": false, "batteryLevel": 0.0}),
    );
    assert_eq!(
        message(&payload, "").metrics(),
        named(&[("battery", 0.0), ("external_power_source", 0.0), ("margin", -7.0)])
    );
    let found = message(&payload, "").found();
    let units: Vec<_> = found.iter().map(|it| (it.metric.as_str(), it.unit.as_deref())).collect();
    assert_eq!(units, [("battery", None), ("margin", Some("dB")), ("external_power_source", None)]);
    assert!(found.iter().all(|it| it.at == Some(ARRIVAL + 1_250)));
}

#[test]
fn a_level_that_means_no_battery_is_none() {
    assert_eq!(
        metrics(json!({"margin": 0, "externalPowerSource": true, "batteryLevel": 0.0})),
        named(&[("external_power_source", 1.0), ("margin", 0.0)])
    );
    assert_eq!(
        metrics(json!({"margin": 5, "batteryLevelUnavailable": true, "batteryLevel": 0.0})),
        named(&[("margin", 5.0)])
    );
    assert_eq!(metrics(json!({"margin": 5, "batteryLevel": null})), named(&[("margin", 5.0)]));
}

#[test]
fn everything_else_measures_nothing_and_is_no_error() {
    for members in [
        json!({"devAddr": "00189440", "relayRxInfo": null, "joinServerContext": null}),
        json!({"queueItemId": "1b", "acknowledged": true, "fCntDown": 3}),
        json!({"downlinkId": 34, "queueItemId": "", "fCntDown": 0, "gatewayId": "0016", "txInfo": {"modulation": {"lora": {"spreadingFactor": 7}}}}),
        json!({"level": "ERROR", "code": "UPLINK_MIC", "description": "MIC is invalid", "context": {}}),
        json!({"location": {"latitude": 37.3, "longitude": -8.8, "altitude": 2}}),
        json!({"integrationName": "loracloud", "eventType": "modem", "object": {"temp": 25.0, "dnlink": null}}),
        json!({"devEui": "70b3d57ed0000001", "confirmed": true, "fPort": 10, "data": "AQI="}),
        json!({"devEui": "70b3d57ed0000001", "confirmed": false, "fPort": 10, "object": {"led": true}}),
        json!({}),
    ] {
        assert_eq!(metrics(members.clone()), [], "{members}");
    }
    message("[]", "").error();
}

#[test]
fn tells_by_which_names_the_device_goes() {
    let codec = Codec::by_name("chirpstack", &Options::default()).unwrap();
    let open = |payload: &str| codec.open(payload.as_bytes()).unwrap().unwrap();
    assert_eq!(open(&event(uplink())).sender(), Some("70b3d57ed0001a2b"));
    assert_eq!(open(r#"{"deviceInfo":{"deviceName":"Room 7","devEui":null}}"#).sender(), Some("Room 7"));
    assert_eq!(open(r#"{"deviceInfo":null}"#).sender(), None);
}
