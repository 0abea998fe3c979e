//! The model never looks ahead: later readings do not change the score of a reading.

use anomaly::{Quantity, SeriesModel, Trial};
use gateway_core::ports::Detector;
use gateway_core::{Moment, Score, Timestamp};
use proptest::prelude::*;

/// Milliseconds to the next reading, of either sign, and its value.
type Reading = (i64, f64);

fn any_trial() -> impl Strategy<Value = Trial> {
    prop_oneof![
        Just(Trial::Default),
        (0..300_u32).prop_map(Trial::Readings),
        (0..3_000_u64).prop_map(Trial::OfLength),
    ]
}

/// A series with a level, steps, repetitions and absurd values, mostly forward in time.
fn any_series() -> impl Strategy<Value = Vec<Reading>> {
    let step = prop_oneof![20 => Just(300_000_i64), 5 => 0..3_600_000_i64, 1 => -7_200_000..0_i64];
    let value = prop_oneof![20 => 19.0..23.0_f64, 3 => Just(21.0), 1 => -1e3..1e3_f64, 1 => any::<f64>()];
    prop::collection::vec((step, value), 1..600)
}

fn scores(trial: Trial, series: &[Reading]) -> Vec<Score> {
    let mut model = SeriesModel::with_trial(Quantity::watched(), trial);
    let mut at = Timestamp::from_millis(1_795_132_800_000);
    let judge = |(step, value): &Reading| {
        at = Timestamp::from_millis(at.as_millis() + step);
        model.observe(Moment::utc(at), *value)
    };
    series.iter().map(judge).collect()
}

proptest! {
    #[test]
    fn scores_of_a_prefix_are_the_prefix_of_the_scores(
        (series, cut) in any_series().prop_flat_map(|series| {
            let length = series.len();
            (Just(series), 0..=length)
        }),
        trial in any_trial(),
    ) {
        let whole = scores(trial, &series);
        prop_assert_eq!(scores(trial, &series[..cut]), &whole[..cut]);
    }

    #[test]
    fn nothing_is_said_within_the_trial(series in any_series(), readings in 0..600_u32) {
        let length = series.len().min(readings as usize);
        for score in &scores(Trial::Readings(readings), &series)[..length] {
            prop_assert_eq!(score.value, 0.0);
        }
    }
}
