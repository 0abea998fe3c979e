//! Bytes that no honest device sends: every codec must come back with measurements that keep the promises, or an error,
//! and never panic. The fuzz targets say the same with more patience.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use codecs::{Codec, Input, MAX_NAME_BYTES, MAX_READINGS, Measurements, Options};
use gateway_core::Timestamp;
use proptest::prelude::*;

const SEEDS: &[&[u8]] = &[
    b"21.5",
    b"ON",
    br#"{"temperature":21.5,"time":"2026-11-20T10:00:00Z","in":{"a":true,"b":[1,2,{"c":null}]}}"#,
    br#"[{"ts":1795168800,"a":1},{"a":2e10}]"#,
    br#"[{"bn":"urn:dev:ow:1:","bt":1.7e9,"bu":"Cel","bver":10,"n":"t","v":1,"t":-5},{"n":"x","vb":true,"s":2}]"#,
    b"\x82\xa4\x21\x64dev:\x22\x1a\x65\x53\xf1\x00\x00\x61a\x02\xc4\x82\x20\x18\xd7\xa2\x00\x61b\x04\xf5",
    br#"{"state":"ON","last_seen":"2026-11-20T11:00:00+01:00","color":{"x":0.1},"update":{"state":"idle"},"voltage":3000}"#,
    br#"{"Time":"2026-11-20T10:00:00","DS18B20-1":{"Temperature":21.4},"ENERGY":{"Power":[1,2]},"TempUnit":"F"}"#,
    br#"{"method":"NotifyStatus","params":{"ts":1.7e9,"switch:0":{"output":true,"aenergy":{"total":1}}}}"#,
    b"\x01\x01\x08\x63\x20\x00\x00\x0e\x10\x24\x02\x64\x00\x0f\xff\xfa\xbc\x58",
    b"\xff\xc9\x3d\x01\x4a",
    b"\x01\x67\xff\xd7\x02\x88\x06\x76\x5f\xf2\x96\x0a\x00\x03\xe8\x03\x71\x04\xd2\xfb\x2e\x00\x00\x04\x66\x01",
    br#"{"end_device_ids":{"device_id":"a","dev_eui":"70B3D57ED0001A2B"},"uplink_message":{"f_port":1,"frm_payload":"AQ==","decoded_payload":{"a":1},"normalized_payload":[{"air":{"co2":1}}],"rx_metadata":[{"rssi":-1,"snr":2}],"received_at":"2026-11-20T10:00:00Z"}}"#,
    br#"{"deviceInfo":{"devEui":"70b3d57ed0001a2b"},"time":"2026-11-20T10:00:00Z","fPort":1,"data":"AQ==","object":null,"rxInfo":[{"rssi":-1}],"margin":null,"batteryLevel":1}"#,
    b"n1,1795168800,21.5,40\n\"n,2\",2026-11-20 10:00:00,,nan\n",
];

const TOPICS: &[&str] = &[
    "",
    "/",
    "zigbee2mqtt/a/b/availability",
    "tele/plug/SENSOR",
    "stat/plug/POWER1",
    "shellies/plug/relay/0/power",
    "shellies",
    "shellies/",
    "plug/status/switch:0",
    "plug/status/",
    "plug/online",
    "2a6e",
    "2bd6/2",
];

fn all() -> Vec<Codec> {
    let columns = ["device", "time", "temperature", "humidity"].map(String::from).to_vec();
    let options = Options { columns, ..Options::default() };
    Codec::NAMES.iter().map(|name| Codec::by_name(name, &options).unwrap()).collect()
}

fn check(payload: &[u8], topic: &str, device: Option<&str>, metric: Option<&str>) {
    let mut out = Measurements::new();
    for codec in all() {
        let received_at = Timestamp::from_millis(1_795_168_800_000);
        let input = Input { payload, topic, device, metric, port: None, received_at };
        let decoded = codec.decode(&input, &mut out);
        assert!(out.len() <= MAX_READINGS);
        assert!(decoded.is_ok() || out.is_empty(), "{}: a refused payload leaves nothing", codec.name());
        for it in out.iter() {
            assert!(it.value.is_finite(), "{}: {it:?}", codec.name());
            assert!((1..=MAX_NAME_BYTES).contains(&it.metric.len()), "{}: {it:?}", codec.name());
        }
        if let Err(error) = decoded {
            assert!(error.to_string().len() < 200, "{}: an error carries no payload: {error}", codec.name());
        }
        let _ = codec.data(&input);
    }
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (prop::sample::select(SEEDS), prop::collection::vec(change, 1..8)).prop_map(|(seed, changes)| {
        let mut bytes = seed.to_vec();
        for (index, byte, what) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        bytes
    })
}

/// JSON of any shape, with the keys that codecs look for.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "1",
        "-2.5e3",
        "1e308",
        "1e999",
        "\"ON\"",
        "\"\"",
        "\"2026-11-20T10:00:00\"",
        "1795168800",
        "-1",
    ])
    .prop_map(String::from);
    let key = prop::sample::select(vec![
        "",
        "a",
        "time",
        "ts",
        "last_seen",
        "n",
        "v",
        "bn",
        "bt",
        "bver",
        "s",
        "Time",
        "ENERGY",
        "Power",
        "method",
        "params",
        "result",
        "switch:0",
        "components",
        "key",
        "status",
        "id",
        "aenergy",
        "total",
        "NotifyStatus",
        "end_device_ids",
        "uplink_message",
        "uplink_normalized",
        "decoded_payload",
        "normalized_payload",
        "rx_metadata",
        "received_at",
        "frm_payload",
        "deviceInfo",
        "object",
        "data",
        "rxInfo",
        "rssi",
        "snr",
        "margin",
        "batteryLevel",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        topic in prop::sample::select(TOPICS),
    ) {
        check(&payload, topic, None, None);
    }

    #[test]
    fn mutated_payloads_never_panic(
        payload in mutated(),
        topic in prop::sample::select(TOPICS),
        device in prop::option::of("[a-z]{0,3}"),
        metric in prop::option::of("[a-z]{0,3}"),
    ) {
        check(&payload, topic, device.as_deref(), metric.as_deref());
    }

    #[test]
    fn json_of_any_shape_never_panics(payload in json(), topic in prop::sample::select(TOPICS)) {
        check(payload.as_bytes(), topic, None, None);
    }

    #[test]
    fn random_topics_never_panic(topic in "(shellies|/|\\+|status|:|é|[a-z]){0,8}", payload in mutated()) {
        check(&payload, &topic, None, None);
    }

    /// As far as sensors count: serde_json reads 15 digits exactly, and the 17th perhaps not.
    #[test]
    fn a_number_of_fifteen_digits_comes_out_as_it_went_in(
        digits in -999_999_999_999_999..=999_999_999_999_999_i64,
        decimals in 0..=15,
    ) {
        let payload = format!(r#"{{"a":{{"b":{digits}e-{decimals}}}}}"#);
        let expected: f64 = format!("{digits}e-{decimals}").parse().unwrap();
        let mut out = Measurements::new();
        let codec = Codec::by_name("json", &Options::default()).unwrap();
        let input = Input {
            payload: payload.as_bytes(),
            topic: "",
            device: None,
            metric: None,
            port: None,
            received_at: Timestamp::EPOCH,
        };
        codec.decode(&input, &mut out).unwrap();
        let found: Vec<_> = out.iter().map(|it| (it.metric, it.value)).collect();
        prop_assert_eq!(found, vec![("a.b", expected)]);
    }
}
