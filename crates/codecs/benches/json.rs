//! Payload to measurements: `cargo bench -p codecs`. The first is the hot path, 5,000 messages a second on a Pi.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use codecs::{Codec, Input, Measurements, Options};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::Timestamp;

const JSON: &[u8] = br#"{"temperature":21.37,"humidity":45.2,"battery":{"voltage":3.01}}"#;
const JSON_WITH_TIME: &[u8] =
    br#"{"time":"2026-11-20T10:00:00.250Z","temperature":21.37,"humidity":45.2,"battery":{"voltage":3.01}}"#;
const SENML: &[u8] =
    br#"[{"bn":"urn:dev:mac:0024befffe804ff1/","bt":1795168800,"n":"temp","u":"Cel","v":21.37},
    {"n":"hum","u":"%RH","v":45.2},{"n":"volt","u":"V","v":3.01}]"#;
const ZIGBEE2MQTT: &[u8] = br#"{"battery":87,"contact":true,"humidity":45.2,"last_seen":"2026-11-20T10:00:00+01:00",
    "linkquality":120,"temperature":21.37,"update":{"installed_version":1,"latest_version":1,"state":"idle"},"voltage":3005}"#;
const VALUE: &[u8] = b"21.37";

fn decode(c: &mut Criterion) {
    let cases = [
        ("json", "json", JSON),
        ("json with time", "json", JSON_WITH_TIME),
        ("senml", "senml", SENML),
        ("zigbee2mqtt", "zigbee2mqtt", ZIGBEE2MQTT),
        ("value", "value", VALUE),
    ];
    for (title, name, payload) in cases {
        let Ok(codec) = Codec::by_name(name, &Options::default()) else { continue };
        let mut out = Measurements::new();
        c.bench_function(&format!("decode {title}"), |b| {
            b.iter(|| {
                let input = Input {
                    payload: black_box(payload),
                    topic: "sensors/lounge/telemetry",
                    device: Some("lounge"),
                    metric: None,
                    port: None,
                    received_at: Timestamp::PLAUSIBLE,
                };
                codec.decode(&input, &mut out).map(|()| out.len())
            });
        });
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
