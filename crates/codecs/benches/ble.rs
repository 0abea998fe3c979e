//! Advertisements decoded a second, on one core, per format. The aim: over 1,000,000 of each.
//!
//! `cargo bench -p codecs --bench ble`; memory of 5,000 beacons: `cargo test -p codecs --release ble_memory -- --nocapture`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use aes::Aes128;
use ccm::Ccm;
use ccm::aead::{AeadInOut as _, KeyInit as _};
use ccm::consts::{U4, U13};
use codecs::ble::advertisement::Builder;
use codecs::ble::{Ble, Keys, Uuid};
use codecs::{Codec, Input, Measurements};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::Timestamp;

const ADDRESS: &str = "A4:C1:38:0A:0B:0C";

/// Format, name, id, data, whether of a service.
type Row = (&'static str, &'static str, u16, &'static [u8], bool);

const ROWS: [Row; 12] = [
    ("bthome", "", 0xfcd2, &[0x40, 0x01, 0x61, 0x02, 0xca, 0x09, 0x03, 0xbf, 0x13], true),
    (
        "ruuvi",
        "",
        0x0499,
        &[
            5, 18, 252, 83, 148, 195, 124, 0, 4, 255, 252, 4, 12, 172, 54, 66, 0, 205, 203, 184, 51, 76, 136,
            79,
        ],
        false,
    ),
    (
        "mibeacon",
        "",
        0xfe95,
        &[0x50, 0x50, 0x5b, 5, 1, 12, 11, 10, 0x38, 0xc1, 0xa4, 0x0d, 0x10, 4, 0xd7, 0, 0x26, 2],
        true,
    ),
    ("pvvx", "", 0x181a, &[12, 11, 10, 0x38, 0xc1, 0xa4, 0x66, 8, 0x7c, 0x15, 0x86, 0x0b, 88, 7, 4], true),
    ("govee", "GVH5075_0B0C", 0xec88, &[0, 3, 0x49, 0xfe, 88, 0], false),
    ("switchbot", "", 0xfd3d, &[0x54, 0, 88, 5, 0x95, 55], true),
    (
        "qingping",
        "",
        0xfdcd,
        &[8, 0x15, 12, 11, 10, 0x38, 0xc1, 0xa4, 1, 4, 0xd7, 0, 0x26, 2, 2, 1, 88],
        true,
    ),
    (
        "aranet",
        "Aranet4 0B0C",
        0x0702,
        &[0x21, 10, 4, 1, 12, 15, 1, 1, 32, 3, 0xae, 1, 0x95, 0x27, 55, 88, 1, 44, 1, 120, 0, 5],
        false,
    ),
    ("sensirion", "", 0x06d5, &[0, 8, 0xab, 0x12, 0x47, 0x61, 0xcc, 0x8c, 32, 3], false),
    ("inkbird", "sps", 0x0866, &[0x7c, 0x15, 0, 0, 0, 88, 8], false),
    ("thermopro", "TP357S (0B0C)", 0xd7c2, &[0, 55, 2, 44, 1], false),
    ("eddystone", "", 0xfeaa, &[32, 0, 11, 184, 21, 128, 0, 0, 0, 100, 0, 0, 14, 16], true),
];

fn built((_, name, id, data, is_service): Row) -> Vec<u8> {
    let mut builder = Builder::new();
    if !name.is_empty() {
        builder.name(name).unwrap();
    }
    if is_service {
        builder.service_data(Uuid::short(id), data).unwrap();
    } else {
        builder.manufacturer_data(id, data).unwrap();
    }
    builder.build()
}

/// BTHome with temperature, humidity and battery, encrypted; and its key.
fn encrypted() -> (Vec<u8>, Keys) {
    const KEY: [u8; 16] = [7; 16];
    const COUNTER: [u8; 4] = [1, 0, 0, 0];
    let nonce = [0xa4, 0xc1, 0x38, 10, 11, 12, 0xd2, 0xfc, 0x41, 1, 0, 0, 0];
    let mut text = [0x01, 0x61, 0x02, 0xca, 0x09, 0x03, 0xbf, 0x13];
    let cipher = Ccm::<Aes128, U4, U13>::new(&KEY.into());
    let tag = cipher.encrypt_inout_detached(&nonce.into(), &[], text.as_mut_slice().into()).unwrap();
    let data = [&[0x41][..], &text, &COUNTER, &tag].concat();
    let mut keys = Keys::new();
    keys.insert(ADDRESS.parse().unwrap(), "07".repeat(16).parse().unwrap());
    let mut builder = Builder::new();
    builder.service_data(Uuid::short(0xfcd2), &data).unwrap();
    (builder.build(), keys)
}

fn advertisements(c: &mut Criterion) {
    let mut group = c.benchmark_group("advertisements");
    group.throughput(Throughput::Elements(1));
    let mut out = Measurements::new();
    for row in ROWS {
        let payload = built(row);
        // Those with a packet's number are measured as new ones: each in its own second.
        let mut second = 0;
        let codec = Codec::ble(Ble::new(Keys::new()));
        group.bench_function(row.0, |b| {
            b.iter(|| {
                second += 10;
                let input = Input {
                    payload: black_box(&payload),
                    topic: "",
                    device: Some(ADDRESS),
                    metric: None,
                    port: None,
                    received_at: Timestamp::from_millis(1_795_168_800_000 + 1000 * second),
                };
                codec.decode(&input, &mut out).unwrap();
                assert!(out.len() >= 2, "{} measures", row.0);
            });
        });
    }
    let (payload, keys) = encrypted();
    // Without a memory, to which the same counter would be the same advertisement.
    let codec = Codec::ble(Ble::alone(keys));
    let received_at = Timestamp::from_millis(1_795_168_800_000);
    group.bench_function("bthome encrypted", |b| {
        b.iter(|| {
            let payload = black_box(&payload);
            let input =
                Input { payload, topic: "", device: Some(ADDRESS), metric: None, port: None, received_at };
            codec.decode(&input, &mut out).unwrap();
            assert_eq!(out.len(), 3);
        });
    });
    group.finish();
}

criterion_group!(benches, advertisements);
criterion_main!(benches);
