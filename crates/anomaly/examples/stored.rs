//! What a thousand learnt series cost to keep: bytes, and the time to write them down, to read them back, and to learn
//! a reading again after a crash. `docs/storage.md` has the figures. `cargo run --release -p anomaly --example stored`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "figures for people")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::time::Instant;

use anomaly::{Quantity, SeriesModel};
use gateway_core::ports::Detector as _;
use gateway_core::{Moment, Timestamp};

const SERIES: u32 = 1_000;
const STEP_MILLIS: i64 = 300_000;
/// Two weeks of five minutes.
const READINGS: i64 = 14 * 288;
const DAY_MILLIS: f64 = 86_400_000.0;

/// A room: its day, and a last digit that never rests.
fn temperature(series: u32, at: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
    let day = (at as f64 / DAY_MILLIS * std::f64::consts::TAU).sin();
    let scatter = (at / STEP_MILLIS * 7_919 + i64::from(series) * 31) % 23;
    let value = 21.0 + 1.5 * day + f64::from(i32::try_from(scatter).unwrap()) * 0.02;
    (value * 100.0).round() / 100.0
}

fn main() {
    let began = Instant::now();
    let models: Vec<Box<SeriesModel>> = (0..SERIES)
        .map(|series| {
            let mut model = Box::new(SeriesModel::new(Quantity::watched()));
            for at in (0..READINGS).map(|step| step * STEP_MILLIS) {
                model.observe(Moment::utc(Timestamp::from_millis(at)), temperature(series, at));
            }
            model
        })
        .collect();
    let readings = u32::try_from(READINGS).unwrap() * SERIES;
    println!("learn: {:?} a reading", began.elapsed() / readings);

    for _ in 0..5 {
        let began = Instant::now();
        let bytes = postcard::to_stdvec(&models).unwrap();
        let encoded = began.elapsed();
        let began = Instant::now();
        let again: Vec<Box<SeriesModel>> = postcard::from_bytes(&bytes).unwrap();
        let decoded = began.elapsed();
        assert!(again == models, "what is read back is what was written");
        println!(
            "{SERIES} series: {} bytes, {} a series; encode {encoded:?}, decode {decoded:?}",
            bytes.len(),
            bytes.len() / models.len()
        );
    }
}
