//! How much memory 5,000 beacons take that all need to be remembered: `cargo test -p codecs --release ble_memory --
//! --nocapture` prints it. In a process of its own: it looks at the process's memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

use codecs::ble::advertisement::Builder;
use codecs::ble::{Ble, Keys, MAX_BEACONS};
use codecs::{Codec, Input, Measurements};
use gateway_core::Timestamp;
use testkit::{alone, resident};

#[test]
fn five_thousand_beacons_take_less_than_20_mb() {
    alone("ble_memory::five_thousand_beacons_take_less_than_20_mb", measure);
}

fn measure() {
    let codec = Codec::ble(Ble::new(Keys::new()));
    let mut out = Measurements::new();
    // The dearest: a stack that adds up what a SensorPush has sent, so that all entries are remembered.
    let mut builder = Builder::new();
    builder.name("SensorPush HT.w").unwrap();
    for company in 0..200 {
        builder.manufacturer_data(company << 8 | 4, &[1, 2, 3]).unwrap();
    }
    let payload = builder.build();
    let before = resident();
    // Twice as many as are remembered.
    for beacon in 0..2 * MAX_BEACONS {
        let device = format!("A4:C1:38:{:02X}:{:02X}:00", beacon >> 8, beacon & 0xff);
        let input = Input {
            payload: &payload,
            topic: "",
            device: Some(&device),
            metric: None,
            port: None,
            received_at: Timestamp::from_millis(1_795_168_800_000),
        };
        codec.decode(&input, &mut out).unwrap();
        assert!(out.is_empty(), "the newest entry is unknown");
    }
    let taken = resident().saturating_sub(before) / 1024;
    println!("{MAX_BEACONS} beacons: {taken} KiB");
    assert!(taken < 20_000, "{taken} KiB");
}
