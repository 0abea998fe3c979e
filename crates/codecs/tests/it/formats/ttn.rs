//! `ttn`: messages of The Things Stack v3.

use codecs::javascript::Engine;
use codecs::{Codec, DecodeError, Options};
use serde_json::{Value, json};

use crate::formats::support::{ARRIVAL, Message, named};

fn message(payload: &str) -> Message<'_> {
    Message {
        codec: "ttn",
        payload,
        topic: "v3/floors@ttn/devices/room-7/up",
        device: Some("room-7"),
        ..Message::default()
    }
}

fn uplink(members: &Value) -> String {
    let mut uplink = json!({
        "f_port": 2, "f_cnt": 9, "frm_payload": "AQI=",
        "decoded_payload": {"temperature": 21.5, "door": {"open": true}, "model": "x"},
        "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -71, "snr": 8.25}],
        "settings": {"data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 9}}, "frequency": "868100000"},
        "received_at": "2026-11-20T09:59:58.5Z",
    });
    for (key, value) in members.as_object().unwrap() {
        match value {
            Value::String(text) if text == "(left out)" => uplink.as_object_mut().unwrap().remove(key),
            value => uplink.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    json!({
        "end_device_ids": {"device_id": "room-7", "dev_eui": "70B3D57ED0001A2B"},
        "received_at": "2026-11-20T09:59:59Z",
        "uplink_message": uplink,
    })
    .to_string()
}

const RADIO: [(&str, f64); 3] = [("rssi", -71.0), ("snr", 8.25), ("spreading_factor", 9.0)];

fn with_radio(metrics: &[(&str, f64)]) -> Vec<(String, f64)> {
    named(&[metrics, &RADIO].concat())
}

#[test]
fn an_uplink_measures_what_the_server_decoded_and_how_it_was_heard() {
    let payload = uplink(&json!({}));
    assert_eq!(message(&payload).metrics(), with_radio(&[("temperature", 21.5), ("door.open", 1.0)]));
    let found = message(&payload).found();
    assert!(found.iter().all(|it| it.at == Some(ARRIVAL - 1_500)), "the inner received_at: {found:?}");
    assert_eq!(message(&payload).data()["temperature"], 21.5);
}

#[test]
fn the_decoders_names_become_ours_as_with_codecs_in_javascript() {
    let payload = uplink(&json!({"decoded_payload": {"TempC_SHT": 21.5, "BatV": 3.1}}));
    assert_eq!(message(&payload).metrics(), with_radio(&[("temperature", 21.5), ("voltage", 3.1)]));
}

#[test]
fn normalized_adds_what_the_decoder_calls_otherwise() {
    let normalized = json!([{"air": {"temperature": -21.3, "relativeHumidity": 40}}]);
    let payload = uplink(&json!({"decoded_payload": {"t": -213}, "normalized_payload": normalized}));
    assert_eq!(
        message(&payload).metrics(),
        with_radio(&[("t", -213.0), ("temperature", -21.3), ("humidity", 40.0)])
    );
    let alone = uplink(&json!({"decoded_payload": "(left out)", "normalized_payload": normalized}));
    assert_eq!(message(&alone).metrics(), with_radio(&[("temperature", -21.3), ("humidity", 40.0)]));
}

#[test]
fn a_message_about_normalized_data_alone_is_an_uplink_too() {
    let payload = json!({"end_device_ids": {"device_id": "room-7"}, "uplink_normalized": {
        "f_port": 2, "normalized_payload": {"air": {"co2": 700}}, "received_at": "2026-11-20T09:59:58.5Z"}})
    .to_string();
    assert_eq!(message(&payload).metrics(), named(&[("co2", 700.0)]));
}

#[test]
fn the_time_is_the_inner_one_else_the_outer_one_else_the_arrival() {
    for (inner, expected) in [
        (json!("2026-11-20T09:59:58.5Z"), Some(ARRIVAL - 1_500)),
        (json!("0001-01-01T00:00:00Z"), Some(ARRIVAL - 1_000)),
        (json!("(left out)"), Some(ARRIVAL - 1_000)),
        (json!("2026-11-20T09:…"), Some(ARRIVAL - 1_000)),
        (json!(null), Some(ARRIVAL - 1_000)),
    ] {
        let payload = uplink(&json!({"received_at": inner}));
        assert!(message(&payload).found().iter().all(|it| it.at == expected), "{inner}");
    }
    let neither = r#"{"uplink_message":{"decoded_payload":{"a":1}}}"#;
    assert_eq!(message(neither).found()[0].at, None);
}

#[test]
fn what_a_receiver_leaves_out_beside_the_other_is_zero() {
    let of = |receivers: Value| {
        let payload =
            uplink(&json!({"rx_metadata": receivers, "decoded_payload": {}, "settings": "(left out)"}));
        message(&payload).metrics()
    };
    assert_eq!(of(json!([{"rssi": -90}])), named(&[("rssi", -90.0), ("snr", 0.0)]));
    assert_eq!(of(json!([{"snr": 5}])), named(&[("rssi", 0.0), ("snr", 5.0)]));
    assert_eq!(of(json!([{"rssi": -90, "snr": null}])), named(&[("rssi", -90.0)]));
    assert_eq!(of(json!([{"gateway_ids": {}}])), [], "one that has neither");
    assert_eq!(of(json!([])), []);
}

#[test]
fn the_best_receiver_is_the_one_with_the_best_snr_then_rssi() {
    let receivers =
        json!([{"rssi": -60, "snr": -3}, {"rssi": -110, "snr": 7}, {"rssi": -100, "snr": 7}, {"rssi": -50}]);
    let payload = uplink(&json!({"rx_metadata": receivers, "decoded_payload": {}}));
    assert_eq!(
        message(&payload).metrics(),
        named(&[("rssi", -100.0), ("snr", 7.0), ("spreading_factor", 9.0)])
    );
}

#[test]
fn a_payloads_own_rssi_gives_way_to_the_radios() {
    let payload = uplink(&json!({"decoded_payload": {"rssi": -30, "a": 1}}));
    assert_eq!(message(&payload).metrics(), with_radio(&[("a", 1.0)]));
}

#[test]
fn fsk_has_no_spreading_factor() {
    let payload =
        uplink(&json!({"decoded_payload": {}, "settings": {"data_rate": {"fsk": {"bit_rate": 50_000}}}}));
    assert_eq!(message(&payload).metrics(), named(&RADIO[..2]));
}

#[test]
fn a_device_with_a_codec_of_its_own_is_read_by_it() {
    let script = "function decodeUplink(i) { return {data: {sum: i.bytes[0] + i.bytes[1], port: i.fPort, at: Date.parse(i.recvTime)}} }";
    let own = Codec::from_file("own.js", script, &Engine::default()).unwrap();
    let payload = uplink(&json!({}));
    let (metrics, result) = message(&payload).metrics_with(&own);
    result.unwrap();
    assert_eq!(metrics, with_radio(&[("sum", 3.0), ("port", 2.0), ("at", (ARRIVAL - 1_500) as f64)]));

    let no_port = uplink(&json!({"f_port": "(left out)"}));
    assert!(
        message(&no_port).metrics_with(&own).0.contains(&("port".to_owned(), 0.0)),
        "FPort 0 is left out"
    );
    let no_bytes = uplink(&json!({"frm_payload": "(left out)"}));
    let (metrics, _) = message(&no_bytes).metrics_with(&own);
    assert_eq!(metrics, with_radio(&[("temperature", 21.5), ("door.open", 1.0)]), "what the server decoded");
}

#[test]
fn a_payloads_own_time_counts_for_its_own_measurements() {
    let json = Codec::by_name("json", &Options::default()).unwrap();
    // {"a":1,"time":1795168700}
    let payload = uplink(&json!({"frm_payload": "eyJhIjoxLCJ0aW1lIjoxNzk1MTY4NzAwfQ=="}));
    let server = Codec::by_name("ttn", &Options::default()).unwrap();
    let envelope = server.open(payload.as_bytes()).unwrap().unwrap();
    let mut out = codecs::Measurements::new();
    envelope.measure(Some(&json), &message(&payload).input(payload.as_bytes()), &mut out).unwrap();
    let times: Vec<_> = out.iter().map(|it| (it.metric, it.at.unwrap().as_millis())).collect();
    assert_eq!(times[0], ("a", 1_795_168_700_000));
    assert_eq!(times[1], ("rssi", ARRIVAL - 1_500));
}

#[test]
fn bytes_that_nobody_can_read_are_told_and_the_radio_is_measured_all_the_same() {
    let payload = uplink(&json!({"decoded_payload": null}));
    assert!(matches!(message(&payload).error(), DecodeError::NoDeviceCodec));
    let server = Codec::by_name("ttn", &Options::default()).unwrap();
    let mut out = codecs::Measurements::new();
    let explained = server.explain(&message(&payload).input(payload.as_bytes()), None, &mut out);
    assert!(explained.errors.is_empty() && explained.warnings[0].contains("codec"), "{explained:?}");
    assert_eq!(out.len(), 3);

    let own = Codec::by_name("cayenne-lpp", &Options::default()).unwrap();
    let (metrics, result) = message(&payload).metrics_with(&own);
    assert!(matches!(result, Err(DecodeError::Lpp { .. })), "{result:?}");
    assert_eq!(metrics, named(&RADIO));

    let broken = uplink(&json!({"frm_payload": "???"}));
    assert!(matches!(message(&broken).metrics_with(&own).1, Err(DecodeError::Base64 { key: "frm_payload" })));
}

#[test]
fn an_uplink_without_a_payload_tells_how_it_was_heard() {
    let payload = uplink(
        &json!({"frm_payload": "(left out)", "decoded_payload": "(left out)", "f_port": "(left out)"}),
    );
    assert_eq!(message(&payload).metrics(), named(&RADIO));
    assert_eq!(message(r#"{"uplink_message":{}}"#).metrics(), []);
}

#[test]
fn how_long_it_was_on_the_air_is_what_the_server_says_where_that_is_a_time() {
    for (said, airtime) in [
        (json!("0.061696s"), Some(0.061_696)),
        (json!("2s"), Some(2.0)),
        (json!("0s"), None),
        (json!("-1s"), None),
        (json!("infs"), None),
        (json!("NaNs"), None),
        (json!("1e999s"), None),
        (json!("61ms"), None),
        (json!(0.06), None),
        (Value::Null, None),
    ] {
        let payload = uplink(&json!({ "consumed_airtime": said }));
        let found = message(&payload).found();
        let airtime_found = found.iter().find(|it| it.metric == "airtime");
        assert_eq!(airtime_found.map(|it| it.value), airtime, "{said}");
        assert!(airtime_found.is_none_or(|it| it.unit.as_deref() == Some("s")));
    }
}

#[test]
fn the_counter_is_that_of_a_frame_that_was_on_the_air() {
    let counter = |payload: &str| {
        let codec = Codec::by_name("ttn", &Options::default()).unwrap();
        codec.open(payload.as_bytes()).unwrap().unwrap().counter
    };
    assert_eq!(counter(&uplink(&json!({}))), Some(9));
    assert_eq!(counter(&uplink(&json!({ "f_cnt": "(left out)" }))), Some(0), "the server leaves out zero");
    assert_eq!(counter(r#"{"uplink_message":{"f_port":1},"simulated":true}"#), None);
    assert_eq!(counter(r#"{"downlink_sent":{"f_cnt":3}}"#), None);
}

#[test]
fn a_simulated_uplink_is_one() {
    let payload = r#"{"end_device_ids":{"device_id":"p"},"uplink_message":{"decoded_payload":{"occupied":true},"settings":{"data_rate":{}},"received_at":"0001-01-01T00:00:00Z"},"simulated":true}"#;
    assert_eq!(message(payload).metrics(), named(&[("occupancy", 1.0)]));
}

#[test]
fn everything_else_measures_nothing_and_is_no_error() {
    for payload in [
        r#"{"end_device_ids":{"device_id":"d","dev_eui":"70B3D57ED0001A2B"},"join_accept":{"session_key_id":"AA==","received_at":"2026-11-20T10:00:00Z"}}"#,
        r#"{"end_device_ids":{"device_id":"d"},"downlink_queued":{"f_port":15,"frm_payload":"vu8=","confirmed":true}}"#,
        r#"{"end_device_ids":{"device_id":"d"},"downlink_ack":{"f_port":15,"decoded_payload":{"a":1}}}"#,
        r#"{"end_device_ids":{"device_id":"d"},"downlink_failed":{"error":{"code":3}}}"#,
        r#"{"end_device_ids":{"device_id":"d"},"location_solved":{"location":{"latitude":1.5}}}"#,
        r#"{"downlinks":[{"decoded_payload":{"a":1}}]}"#,
        r#"{"uplink_message":null}"#,
        "{}",
    ] {
        assert_eq!(message(payload).metrics(), [], "{payload}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for payload in ["", "21.5", "[1]", "null", "{\"uplink_message\":", "\u{feff}{}"] {
        message(payload).error();
    }
}

#[test]
fn tells_by_which_names_the_device_goes() {
    let open = |payload: &str| {
        Codec::by_name("ttn", &Options::default()).unwrap().open(payload.as_bytes()).unwrap().unwrap()
    };
    assert_eq!(open(&uplink(&json!({}))).sender(), Some("70b3d57ed0001a2b"));
    let unnamed = r#"{"end_device_ids":{"device_id":"d","dev_eui":"xxxxxxxxxxxxxxxx"},"uplink_message":{}}"#;
    assert_eq!(open(unnamed).sender(), Some("d"), "a DevEUI that is none");
    assert_eq!(open("{}").sender(), None);
    assert!(Codec::by_name("json", &Options::default()).unwrap().open(b"{}").is_none(), "not an envelope");
}

#[test]
fn members_of_another_type_count_as_not_there() {
    let payload = r#"{"end_device_ids":7,"received_at":7,"uplink_message":{"f_port":"2","frm_payload":7,
        "decoded_payload":{"a":1},"normalized_payload":{"b":2},"rx_metadata":{"rssi":1},"settings":"none","received_at":{}}}"#;
    assert_eq!(message(payload).metrics(), named(&[("a", 1.0)]));
}
