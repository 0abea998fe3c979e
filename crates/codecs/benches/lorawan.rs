//! Payloads of LoRaWAN devices a second, on one core: Cayenne LPP, a struct codec, JavaScript. The aims: 50,000 and 5,000.
//!
//! `cargo bench -p codecs --bench lorawan`; memory of many codecs: `cargo test -p codecs --release memory -- --nocapture`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use codecs::javascript::Engine;
use codecs::{Codec, Input, Measurements, Options};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::Timestamp;

/// Temperature, humidity, illuminance, motion, a battery: 22 bytes.
const LPP: [u8; 22] = [1, 103, 0, 215, 2, 104, 81, 3, 101, 1, 44, 4, 102, 1, 5, 2, 1, 74, 6, 116, 1, 74];

const STRUCT: &str = r#"
fields = [
  { name = "temperature", type = "i16be", scale = 0.1 },
  { name = "humidity", type = "u8", scale = 0.5 },
  { name = "voltage", type = "u16be", scale = 0.001 },
  { name = "open", type = "u8", bits = 0 },
]"#;

/// A loop over type and value with a table of types, as most vendors write it.
const SCRIPT: &str = r#"
var TYPES = { 0x75: 'battery', 0x67: 'temperature', 0x68: 'humidity', 0x7d: 'co2', 0x73: 'pressure', 0xcb: 'light' };
function readUInt16LE(bytes) { return ((bytes[1] << 8) + bytes[0]) & 0xffff; }
function readInt16LE(bytes) { var ref = readUInt16LE(bytes); return ref > 0x7fff ? ref - 0x10000 : ref; }
function decodeUplink(input) {
  var bytes = input.bytes, data = {};
  for (var i = 0; i < bytes.length;) {
    i++;
    var type = TYPES[bytes[i++]];
    switch (type) {
      case 'battery': data.battery = bytes[i]; i += 1; break;
      case 'temperature': data.temperature = readInt16LE(bytes.slice(i, i + 2)) / 10; i += 2; break;
      case 'humidity': data.humidity = bytes[i] / 2; i += 1; break;
      case 'co2': data.co2 = readUInt16LE(bytes.slice(i, i + 2)); i += 2; break;
      case 'pressure': data.pressure = readUInt16LE(bytes.slice(i, i + 2)) / 10; i += 2; break;
      default: return { errors: ['unknown type ' + bytes[i - 1]] };
    }
  }
  return { data: data, warnings: [] };
}"#;
const SCRIPTED: [u8; 18] =
    [1, 0x75, 92, 3, 0x67, 0x34, 1, 4, 0x68, 0x65, 7, 0x7d, 0xe7, 4, 9, 0x73, 0x68, 0x27];

fn payloads(c: &mut Criterion) {
    let engine = Engine::default();
    let lpp = Codec::by_name("cayenne-lpp", &Options::default()).unwrap();
    let table = Codec::from_file("meter.toml", STRUCT, &engine).unwrap();
    let script = Codec::from_file("am307.js", SCRIPT, &engine).unwrap();
    let mut group = c.benchmark_group("payloads");
    group.throughput(Throughput::Elements(1));
    for (name, codec, payload) in [
        ("cayenne-lpp", lpp, &LPP[..]),
        ("struct", table, &[0, 215, 81, 12, 28, 1][..]),
        ("javascript", script, &SCRIPTED[..]),
    ] {
        let input = Input {
            payload,
            topic: "",
            device: Some("a84041ffff123456"),
            metric: None,
            port: Some(85),
            received_at: Timestamp::from_millis(1_795_168_800_000),
        };
        let mut out = Measurements::new();
        codec.decode(&input, &mut out).unwrap();
        assert!(out.len() >= 4, "{name} measures");
        group.bench_function(name, |b| b.iter(|| codec.decode(black_box(&input), &mut out).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, payloads);
criterion_main!(benches);
