//! The model on series whose truth is known.

use std::f64::consts::TAU;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use gateway_core::Timestamp;

use super::*;

const MINUTE: i64 = 60_000;
const WEEK: usize = 7 * 1440;

struct Series {
    model: SeriesModel,
    at: i64,
    /// Minutes between readings.
    step: i64,
}

impl Series {
    fn new() -> Self {
        Self { model: SeriesModel::new(Quantity::watched()), at: 0, step: 1 }
    }

    /// The next reading.
    fn next(&mut self, value: f64) -> Score {
        self.at += self.step * MINUTE;
        self.model.observe(Moment::utc(Timestamp::from_millis(self.at)), value)
    }

    /// As [`Self::next`] for many; how often scores rose to at least 0.5.
    fn alarms(&mut self, values: impl Iterator<Item = f64>) -> usize {
        let mut was_odd = false;
        let mut begins = |score: Score| {
            let is_odd = score.value >= 0.5;
            is_odd && !std::mem::replace(&mut was_odd, is_odd)
        };
        values.filter(|value| begins(self.next(*value))).count()
    }
}

fn gaussian(rng: &mut StdRng) -> f64 {
    let radius = (-2.0 * rng.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// 21 degrees with a standard deviation of 0.3, for two weeks.
fn learnt(rng: &mut StdRng) -> Series {
    let mut series = Series::new();
    series.alarms((0..2 * WEEK).map(|_| 21.0 + 0.3 * gaussian(rng)));
    series
}

/// A year of them at most would be twelve; a series may set a record by chance.
const PER_MONTH: f64 = 1.5;

/// Alarms in a month of a series that sends `step` minutes apart for 24 weeks.
fn alarms_per_month(step: i64, mut value: impl FnMut(i64) -> f64) -> f64 {
    let mut series = Series { step, ..Series::new() };
    let weeks = 24_u32;
    let minutes = i64::from(weeks) * 7 * 1440;
    let alarms = series.alarms((0..minutes).step_by(usize::try_from(step).unwrap()).map(&mut value));
    f64::from(u32::try_from(alarms).unwrap()) / (f64::from(weeks) / 4.345)
}

#[test]
fn is_quiet_on_noise() {
    for (step, seed) in [(1, 1), (5, 2), (5, 3), (30, 4)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let gaussian = alarms_per_month(step, |_| 20.0 + gaussian(&mut rng));
        let uniform = alarms_per_month(step, |_| rng.random_range(-1.0..1.0));
        let integers = alarms_per_month(step, |_| f64::from(rng.random_range(400..1400)));
        assert!(
            gaussian <= PER_MONTH && uniform <= PER_MONTH && integers <= PER_MONTH,
            "{step} {gaussian} {uniform} {integers}"
        );
    }
}

#[test]
fn is_quiet_on_days_wherever_they_start_and_however_coarse() {
    let mut rng = StdRng::seed_from_u64(4);
    for phase in [0.0, 0.3, 0.7] {
        for (noise, quantum) in [(0.0, 1e-9), (0.0, 0.1), (0.05, 1e-9), (0.05, 0.1), (0.02, 0.5)] {
            let alarms = alarms_per_month(5, |minute| {
                #[expect(clippy::cast_precision_loss, reason = "a few weeks")]
                let angle = TAU * (minute as f64 / 1440.0 + phase);
                let value = 21.0 + 3.0 * angle.sin() + noise * gaussian(&mut rng);
                (value / quantum).round() * quantum
            });
            assert!(alarms <= PER_MONTH, "phase {phase} noise {noise} quantum {quantum}: {alarms}");
        }
    }
}

#[test]
fn says_nothing_of_a_series_that_hardly_ever_changes() {
    let mut series = Series::new();
    assert_eq!(series.alarms((0..WEEK).map(|_| 18.0)), 0);
    assert_eq!(series.alarms((0..WEEK).map(|_| 21.0)), 0);
    assert_eq!(series.alarms((0..WEEK).map(|_| 0.0)), 0);
}

#[test]
fn a_step_of_a_coarse_sensor_is_no_news_however_rare() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut series = Series { step: 5, ..Series::new() };
    // A battery in whole percents that now and then shows 96, until one day it shows 94.
    let mut percents = |mean: f64, days: i32| {
        series.alarms((0..days * 288).map(|_| (mean + 0.15 * gaussian(&mut rng)).round()))
    };
    assert_eq!(percents(95.3, 14), 0);
    assert_eq!(percents(94.2, 2), 0);
    assert!(series.next(60.0).value >= 0.5);
}

#[test]
fn learns_a_day_before_it_speaks_of_what_may_leap_and_ten_minutes_of_what_cannot() {
    for (metric, quiet_minutes) in [("power", 1400), ("temperature", 58)] {
        let mut rng = StdRng::seed_from_u64(5);
        let mut series = Series::new();
        series.model = SeriesModel::new(Quantity::new(MetricKind::Gauge, metric));
        assert_eq!(series.alarms((0..quiet_minutes).map(|_| gaussian(&mut rng))), 0);
        assert!(series.next(1e6).value < 0.5, "{metric}: it is too early");
    }
    let mut rng = StdRng::seed_from_u64(5);
    let mut series = Series::new();
    assert_eq!(series.alarms((0..62).map(|_| gaussian(&mut rng))), 0);
    assert!(series.next(1e6).value >= 0.5);
}

#[test]
fn sees_a_spike_of_ten_standard_deviations_and_forgets_it() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut later = 0;
    for _ in 0..20 {
        let mut series = learnt(&mut rng);
        let score = series.next(21.0 + 3.3);
        assert!(score.value >= 0.5, "{score:?}");
        assert_eq!(score.anomaly_kind, Some(AnomalyKind::Profile));
        let (low, high) = score.expected.unwrap();
        assert!(18.0 < low && low < 20.7 && 21.3 < high && high < 24.0, "{low} {high}");
        // What was said of it stands until the next sample.
        (0..5).for_each(|_| assert!(series.next(21.0).value.is_finite()));
        later += series.alarms((0..1000).map(|_| 21.0 + 0.3 * gaussian(&mut rng)));
    }
    assert!(later <= 4, "{later} of 20,000 readings");
}

#[test]
fn alarms_once_for_what_happens_every_day() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut series = learnt(&mut rng);
    let days = 10;
    let alarms = series.alarms((0..days * 1440).map(|minute| {
        let daily = if minute % 1440 == 700 { 5.0 } else { 0.0 };
        21.0 + daily + 0.3 * gaussian(&mut rng)
    }));
    assert_eq!(alarms, 1);
}

#[test]
fn sees_a_shift_at_once_and_learns_it() {
    let mut rng = StdRng::seed_from_u64(8);
    for shift in [4.5, -12.0, 1e3, 1e12] {
        let mut series = learnt(&mut rng);
        assert!(series.next(21.0 + shift).value >= 0.5, "shift {shift}");
        let mut shifted = |n: usize| series.alarms((0..n).map(|_| 21.0 + shift + 0.3 * gaussian(&mut rng)));
        assert!(shifted(100) <= 60, "shift {shift}");
        assert_eq!(shifted(2000), 0, "shift {shift}");
    }
}

#[test]
fn sees_a_sensor_that_is_stuck_in_mid_range_within_the_hour() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut series = learnt(&mut rng);
    let first = (1..=60).find(|_| {
        let score = series.next(21.1);
        score.value >= 0.5 && score.anomaly_kind == Some(AnomalyKind::Stuck)
    });
    assert_eq!(first, Some(31), "half an hour after the first of them");
    assert_eq!(series.alarms((0..1000).map(|_| 21.0 + 0.3 * gaussian(&mut rng))), 0);
}

#[test]
fn a_sensor_may_rest_at_its_lowest_value_all_night() {
    let mut rng = StdRng::seed_from_u64(10);
    let mut series = Series::new();
    let light = (0..WEEK).map(|minute| {
        let hour = (minute / 60) % 24;
        if (7..19).contains(&hour) { 300.0 + 5.0 * gaussian(&mut rng) } else { 0.0 }
    });
    let mut dark_alarms = 0;
    for value in light {
        let score = series.next(value);
        dark_alarms += usize::from(score.anomaly_kind == Some(AnomalyKind::Stuck) && score.value >= 0.5);
    }
    assert_eq!(dark_alarms, 0);
}

#[test]
fn a_message_that_comes_twice_is_not_a_stuck_sensor() {
    let mut rng = StdRng::seed_from_u64(11);
    let mut series = learnt(&mut rng);
    let at = Timestamp::from_millis(series.at);
    for _ in 0..10_000 {
        assert!(series.model.observe(Moment::utc(at), 21.1).value < 0.5);
    }
}

#[test]
fn silence_is_not_a_value() {
    let mut rng = StdRng::seed_from_u64(12);
    let mut series = learnt(&mut rng);
    let after_silence = (0..100).filter(|_| {
        series.at += 90 * 24 * 60 * MINUTE;
        series.next(21.0 + 0.3 * gaussian(&mut rng)).value >= 0.5
    });
    assert!(after_silence.count() <= 1);
}

#[test]
fn stragglers_are_not_judged_but_a_clock_set_back_is_followed() {
    let mut rng = StdRng::seed_from_u64(13);
    let mut series = learnt(&mut rng);
    let before = series.model.clone();
    assert_eq!(series.model.observe(Moment::utc(Timestamp::from_millis(series.at - 1)), 99.0), Score::NONE);
    assert_eq!(SeriesModel { clock: before.clock, ..series.model.clone() }, before);
    let time = |model: &SeriesModel| (model.clock.newest(), model.clock.age_millis());
    assert_eq!(time(&series.model), time(&before));

    series.at -= 365 * 1440 * MINUTE;
    for _ in 0..60 {
        series.next(21.0);
    }
    assert!(series.next(99.0).value >= 0.5);
}

#[test]
fn a_counter_and_a_state_are_not_scored_by_their_values() {
    for kind in [MetricKind::Counter, MetricKind::State] {
        let mut model = SeriesModel::new(Quantity::new(kind, "power"));
        for minute in 0..2000 {
            let value = if minute == 1500 { 1e9 } else { f64::from(i32::try_from(minute % 2).unwrap()) };
            assert_eq!(
                model.observe(Moment::utc(Timestamp::from_millis(minute * MINUTE)), value),
                Score::NONE
            );
        }
    }
}

#[test]
fn a_series_keeps_at_most_sixteen_kilobytes_of_which_a_new_one_has_none() {
    assert!(size_of::<SeriesModel>() <= 1024, "{}", size_of::<SeriesModel>());
    let mut rng = StdRng::seed_from_u64(14);
    let mut series = Series { step: 5, ..Series::new() };
    series.alarms((0..20_000).map(|_| rng.random_range(0.0..1.0)));
    let stored = postcard::to_stdvec(&series.model).unwrap();
    assert!(stored.len() <= 16 * 1024, "{}", stored.len());
}

/// A value anywhere, near a level, exactly repeated, or absurd.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        5 => -10.0..10.0_f64,
        2 => Just(1.25),
        1 => proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        1 => prop_oneof![Just(1e308), Just(-1e308), Just(f64::MAX), Just(f64::MIN), Just(0.0), Just(-0.0)],
    ]
}

fn any_series() -> impl Strategy<Value = Vec<(i64, f64)>> {
    prop::collection::vec((prop_oneof![8 => 0..120_000_i64, 1 => any::<i64>()], any_value()), 1..400)
}

fn scores(model: &mut SeriesModel, series: &[(i64, f64)]) -> Vec<Score> {
    let mut at = 0_i64;
    let mut observe = |step: i64, value| {
        at = at.saturating_add(step);
        model.observe(Moment::utc(Timestamp::from_millis(at)), value)
    };
    series.iter().map(|(step, value)| observe(*step, *value)).collect()
}

proptest! {
    #[test]
    fn scores_are_finite_and_in_range_for_any_finite_input(series in any_series()) {
        for score in scores(&mut SeriesModel::new(Quantity::watched()), &series) {
            prop_assert!((0.0..=1.0).contains(&score.value), "{score:?}");
            if let Some((low, high)) = score.expected {
                prop_assert!(low.is_finite() && high.is_finite() && low <= high, "{score:?}");
            }
        }
    }

    #[test]
    fn scores_of_a_prefix_are_the_prefix_of_the_scores(series in any_series(), cut in 0.0..1.0_f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
        let cut = (series.len() as f64 * cut) as usize;
        let whole = scores(&mut SeriesModel::new(Quantity::watched()), &series);
        let prefix = scores(&mut SeriesModel::new(Quantity::watched()), &series[..cut]);
        prop_assert_eq!(&whole[..cut], &prefix[..]);
    }

    #[test]
    fn a_restart_in_mid_stream_changes_nothing(series in any_series(), rest in any_series()) {
        let mut model = SeriesModel::new(Quantity::watched());
        scores(&mut model, &series);
        let mut restored: SeriesModel = postcard::from_bytes(&postcard::to_stdvec(&model).unwrap()).unwrap();
        prop_assert_eq!(scores(&mut model, &rest), scores(&mut restored, &rest));
    }

    #[test]
    fn what_is_not_finite_is_not_learnt(series in any_series()) {
        let mut model = SeriesModel::new(Quantity::watched());
        scores(&mut model, &series);
        let before = model.clone();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            prop_assert_eq!(model.observe(Moment::utc(Timestamp::MAX), value), Score::NONE);
        }
        prop_assert_eq!(model, before);
    }
}

/// A room that is 19 degrees at midnight and 23 at noon, every five minutes for four weeks; ends at midnight.
fn room(rng: &mut StdRng) -> Series {
    let mut series = Series { step: 5, ..Series::new() };
    for n in 1..=4 * 7 * 288_u32 {
        let noise = 0.1 * gaussian(rng);
        series.next(ordinary(n) + noise);
    }
    series
}

/// Of the `n`-th five minutes of a day.
fn ordinary(n: u32) -> f64 {
    21.0 - 2.0 * (TAU * f64::from(n) / 288.0).cos()
}

/// The expected range contains the ordinary value and not the anomaly.
fn expects(score: Score, ordinary: f64, anomaly: f64) {
    assert!(score.value >= 0.5, "{score:?}");
    let (low, high) = score.expected.unwrap_or_else(|| panic!("no range: {score:?}"));
    assert!(low <= ordinary && ordinary <= high, "{low} to {high} lacks {ordinary}: {score:?}");
    assert!(anomaly < low || high < anomaly, "{low} to {high} holds {anomaly}: {score:?}");
}

#[test]
fn of_a_spike_the_expected_range_holds_what_is_ordinary() {
    let mut series = room(&mut StdRng::seed_from_u64(15));
    expects(series.next(35.0), ordinary(1), 35.0);
}

#[test]
fn of_a_shift_the_expected_range_holds_what_was_ordinary() {
    let mut series = room(&mut StdRng::seed_from_u64(16));
    let anomaly = (1..72).map(|n| (n, series.next(ordinary(n) + 6.0))).find(|(_, score)| score.value >= 0.5);
    let (n, score) = anomaly.unwrap();
    expects(score, ordinary(n), ordinary(n) + 6.0);
}

#[test]
fn of_a_value_at_the_wrong_hour_the_expected_range_holds_what_is_ordinary_then() {
    let mut series = room(&mut StdRng::seed_from_u64(17));
    let anomaly = (1..24).map(|n| (n, series.next(22.8))).find(|(_, score)| score.value >= 0.5);
    let (n, score) = anomaly.unwrap();
    expects(score, ordinary(n), 22.8);
}
