//! Quiet on an ordinary building, quick on each fault.
//! The delays are printed: `cargo test -p anomaly found_in_time -- --nocapture`.

use gateway_core::{AnomalyKind, Score, Timestamp};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::Faults;
use super::buildings::{Readings, SAMPLINGS, SENSORS, Sampling, Sensor, readings};
use crate::LARGEST;
use crate::clock::Clock;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The detectors with the series' time, as `SeriesModel` gives it to them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Timed {
    clock: Clock,
    faults: Faults,
}

fn observe(timed: &mut Timed, (at, value): (i64, f64)) -> Score {
    if !value.is_finite() {
        return Score::NONE;
    }
    let Some(step_millis) = timed.clock.step(Timestamp::from_millis(at)) else { return Score::NONE };
    timed.faults.observe(value.clamp(-LARGEST, LARGEST), step_millis, timed.clock.age_millis())
}

/// Beginnings of alarms: time and detector.
fn alarms(faults: &mut Timed, readings: impl IntoIterator<Item = (i64, f64)>) -> Vec<(i64, AnomalyKind)> {
    let mut alarms = Vec::new();
    let mut raised = false;
    for reading in readings {
        let score = observe(faults, reading);
        if score.value >= 0.5 && !raised {
            alarms.push((reading.0, score.anomaly_kind.unwrap()));
        }
        raised = score.value >= 0.5;
    }
    alarms
}

/// What was learnt from the readings before `begin`, and the readings from there on.
fn learnt(course: &Readings, begin: i64) -> (Timed, &[(i64, f64)]) {
    let (before, after) = course.split_at(course.partition_point(|(at, _)| *at < begin));
    let mut faults = Timed::default();
    for reading in before {
        observe(&mut faults, *reading);
    }
    (faults, after)
}

#[test]
fn is_quiet_for_months_in_an_ordinary_building() {
    let (mut months, mut alarms_found) = (0, Vec::new());
    for sensor in SENSORS {
        for sampling in SAMPLINGS {
            let days = if matches!(sampling, Sampling::Minute | Sampling::OnChange) { 30 } else { 90 };
            for seed in 0..3 {
                let course = readings(sensor, sampling, days, seed);
                let first = course[0].0;
                let found = alarms(&mut Timed::default(), course);
                alarms_found.extend(
                    found.iter().map(|(at, kind)| (sensor, sampling, seed, (at - first) / DAY, *kind)),
                );
                months += days / 30;
            }
        }
    }
    assert!(alarms_found.is_empty(), "{} in {months} months: {alarms_found:?}", alarms_found.len());
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Repeats its value from then on.
    Frozen,
    /// One reading.
    Marker(f64),
    /// Scatters by this standard deviation more.
    Noisy(f64),
}

use Fault::{Frozen, Marker, Noisy};

impl Fault {
    const fn anomaly_kind(self) -> AnomalyKind {
        match self {
            Self::Frozen => AnomalyKind::Stuck,
            Self::Marker(_) => AnomalyKind::Sentinel,
            Self::Noisy(_) => AnomalyKind::Noise,
        }
    }

    fn strike(self, after: &[(i64, f64)]) -> Readings {
        let mut rng = StdRng::seed_from_u64(1);
        let frozen = after[0].1;
        let struck = after.iter().map(|(at, value)| match self {
            Self::Frozen => (*at, frozen),
            Self::Marker(marker) => (*at, marker),
            Self::Noisy(scatter) => (*at, value + scatter * 1.732 * rng.random_range(-1.0..1.0)),
        });
        struck.take(if matches!(self, Self::Marker(_)) { 1 } else { usize::MAX }).collect()
    }

    /// Minutes from the first faulty reading to the alarm, sorted; for 12 places in three courses.
    fn delays(self, sensor: Sensor, sampling: Sampling) -> Vec<Option<i64>> {
        let mut delays = Vec::new();
        for seed in 100..103 {
            let course = readings(sensor, sampling, 20, seed);
            for (day, hour) in [(8, 3), (10, 10), (11, 20), (13, 14)] {
                let (mut faults, after) = learnt(&course, course[0].0 + day * DAY + hour * HOUR);
                let struck = self.strike(after);
                let begin = struck[0].0;
                let found =
                    alarms(&mut faults, struck).into_iter().find(|(_, kind)| *kind == self.anomaly_kind());
                delays.push(found.map(|(at, _)| (at - begin) / MINUTE));
            }
        }
        delays.sort_unstable_by_key(|delay| delay.unwrap_or(i64::MAX));
        delays
    }
}

/// Faults, how many of 12 must be found, and within how many hours.
const FOUND: [(Sensor, Fault, usize, [i64; 2]); 22] = [
    (Sensor::Temperature, Frozen, 12, [24, 24]),
    (Sensor::Outdoor, Frozen, 12, [24, 24]),
    (Sensor::Co2, Frozen, 12, [24, 24]),
    (Sensor::Humidity, Frozen, 12, [24, 24]),
    (Sensor::Power, Frozen, 4, [24, 24]),
    (Sensor::Illuminance, Frozen, 6, [24, 24]),
    (Sensor::Temperature, Marker(-40.0), 12, [0, 0]),
    (Sensor::Temperature, Marker(85.0), 12, [0, 0]),
    (Sensor::Temperature, Marker(0.0), 12, [0, 0]),
    (Sensor::CoarseTemperature, Marker(0.0), 12, [0, 0]),
    (Sensor::Outdoor, Marker(85.0), 12, [0, 0]),
    (Sensor::Outdoor, Marker(-40.0), 12, [0, 0]),
    (Sensor::Co2, Marker(0.0), 12, [0, 0]),
    (Sensor::Co2, Marker(65_535.0), 12, [0, 0]),
    (Sensor::Humidity, Marker(0.0), 12, [0, 0]),
    (Sensor::Humidity, Marker(255.0), 12, [0, 0]),
    (Sensor::Power, Marker(65_535.0), 12, [0, 0]),
    (Sensor::Illuminance, Marker(-999.0), 12, [0, 0]),
    (Sensor::Temperature, Noisy(1.0), 12, [2, 8]),
    (Sensor::Co2, Noisy(80.0), 12, [2, 8]),
    (Sensor::Humidity, Noisy(3.0), 12, [2, 8]),
    (Sensor::Power, Noisy(3000.0), 12, [2, 8]),
];

#[test]
#[expect(clippy::print_stdout, reason = "the table of delays is for people")]
fn each_fault_is_found_in_time() {
    let mut late = Vec::new();
    for (sensor, fault, enough, hours) in FOUND {
        for (sampling, hours) in [Sampling::Minute, Sampling::FiveMinutes].into_iter().zip(hours) {
            let delays = fault.delays(sensor, sampling);
            let found = delays.iter().flatten().count();
            let (median, worst) = (delays[delays.len() / 2], delays.iter().flatten().max());
            println!(
                "{sensor:?} {sampling:?} {fault:?}: {found} of 12, median {median:?} min, worst {worst:?}"
            );
            if delays[enough - 1].is_none_or(|minutes| minutes > hours * 60) {
                late.push((sensor, sampling, fault, delays));
            }
        }
    }
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn an_absurd_value_stays_odd_for_days_then_is_the_new_normal() {
    let course = readings(Sensor::Temperature, Sampling::FiveMinutes, 30, 7);
    for (marker, days) in [(-40.0, 7), (0.0, 1)] {
        let (mut faults, after) = learnt(&course, course[0].0 + 10 * DAY);
        for (at, _) in after {
            let score = observe(&mut faults, (*at, marker));
            let hours = (at - after[0].0) / HOUR;
            match hours {
                _ if hours < 24 * days => {
                    assert!(
                        score.value >= 0.8 && score.anomaly_kind == Some(AnomalyKind::Sentinel),
                        "{marker} {score:?}"
                    );
                    let (low, high) = score.expected.unwrap();
                    assert!(15.0 < low && low < 19.0 && 20.0 < high && high < 25.0, "{low} {high}");
                }
                _ if hours > 24 * days => {
                    assert!(
                        score.anomaly_kind != Some(AnomalyKind::Sentinel),
                        "{marker} after {hours} hours: {score:?}"
                    );
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_marker_that_is_reached_step_by_step_is_none() {
    let course = readings(Sensor::Temperature, Sampling::Minute, 15, 8);
    let (mut faults, after) = learnt(&course, course[0].0 + 10 * DAY);
    let warm = after[0].1;
    let cooling =
        after.iter().zip(0_u32..).map(|((at, _), step)| (*at, (warm - 0.5 * f64::from(step)).max(-40.0)));
    let found = alarms(&mut faults, cooling.take(200));
    assert!(found.iter().all(|(_, anomaly_kind)| *anomaly_kind != AnomalyKind::Sentinel), "{found:?}");
}

#[test]
fn off_is_no_fault_of_what_is_on_or_off_or_a_share_or_a_small_count() {
    let values: [fn(u32) -> f64; 3] = [
        |minute| f64::from(minute / 300 % 2),
        |minute| 0.2 + f64::from(minute % 7) / 10.0,
        |minute| 2.0 + f64::from(minute % 3),
    ];
    for value in values {
        let mut faults = Timed::default();
        for minute in 0..20_000_u32 {
            assert!(observe(&mut faults, (i64::from(minute) * MINUTE, value(minute))).value < 0.5);
        }
        assert!(observe(&mut faults, (20_000 * MINUTE, 0.0)).value < 0.5);
    }
}

#[test]
fn a_few_spikes_are_not_noise_and_lasting_noise_is_the_new_normal_in_two_days() {
    let course = readings(Sensor::Humidity, Sampling::Minute, 20, 9);
    let (faults, after) = learnt(&course, course[0].0 + 10 * DAY);
    let spikes =
        after.iter().zip(0..).map(|((at, value), i)| (*at, if i % 12 == 0 { value + 20.0 } else { *value }));
    let found = alarms(&mut faults.clone(), spikes);
    assert!(found.iter().all(|(_, anomaly_kind)| *anomaly_kind != AnomalyKind::Noise), "{found:?}");

    let noisy = Noisy(10.0).strike(after);
    let mut faults = faults;
    let kind: Readings =
        noisy.into_iter().filter(|reading| observe(&mut faults, *reading).value >= 0.5).collect();
    let (first, last) = (kind[0].0, kind[kind.len() - 1].0);
    assert!((12 * HOUR..48 * HOUR).contains(&(last - first)), "{} h", (last - first) / HOUR);
}

#[test]
fn a_night_that_is_longer_than_any_alarms_once_for_all_that_follow() {
    let mut faults = Timed::default();
    let mut rng = StdRng::seed_from_u64(3);
    let nights: Readings = (0..40 * 1440)
        .map(|minute| {
            let still = minute > 14 * 1440 && minute % 1440 < 600;
            let spread = if still { 0.0 } else { 2.0 };
            (minute * MINUTE, 20.0 + spread * rng.random_range(-1.0..1.0))
        })
        .collect();
    let found = alarms(&mut faults, nights);
    assert!((1..=4).contains(&found.len()), "{found:?}");
}

#[test]
fn a_reading_that_comes_twice_a_straggler_and_silence_are_no_faults() {
    let course = readings(Sensor::Temperature, Sampling::Minute, 10, 10);
    let (mut faults, _) = learnt(&course, i64::MAX);
    let (newest, value) = course[course.len() - 1];
    for _ in 0..10_000 {
        assert!(observe(&mut faults, (newest, value)).value < 0.5);
    }
    assert_eq!(observe(&mut faults, (newest - 1, -40.0)), Score::NONE);
    assert!(observe(&mut faults, (newest + 100 * DAY, value)).value < 0.5);
}

#[test]
fn a_counter_that_nobody_declared_may_rest_and_begin_anew() {
    let mut faults = Timed::default();
    for minute in 0..60 * 1440_i64 {
        let consumed = if minute < 20 * 1440 { minute / 7 } else { 20 * 1440 / 7 };
        let value = if minute > 50 * 1440 { 0.0 } else { 5_000.0 + consumed as f64 / 10.0 };
        assert!(observe(&mut faults, (minute * MINUTE, value)).value < 0.5, "minute {minute}");
    }
}

#[test]
fn the_state_of_a_series_is_small() {
    let course = readings(Sensor::Outdoor, Sampling::Minute, 30, 1);
    let (faults, _) = learnt(&course, i64::MAX);
    let stored = postcard::to_stdvec(&faults).unwrap().len();
    assert!(stored <= 300 && size_of::<Timed>() <= 400, "{stored} {}", size_of::<Timed>());
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -10.0..10.0_f64,
        2 => Just(1.25),
        2 => prop_oneof![Just(0.0), Just(-40.0), Just(65_535.0), Just(85.0)],
        1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(f64::NAN), Just(f64::INFINITY), Just(5e-324)],
    ]
}

proptest! {
    #[test]
    fn any_series_scores_in_range_and_survives_a_restart(
        series in prop::collection::vec((prop_oneof![9 => 0..20_000_000_i64, 1 => any::<i64>()], any_value()), 1..400),
    ) {
        let mut faults = Timed::default();
        let mut at = 0_i64;
        for (step, value) in series {
            at = at.saturating_add(step);
            let mut restored: Timed = postcard::from_bytes(&postcard::to_stdvec(&faults).unwrap()).unwrap();
            let score = observe(&mut faults, (at, value));
            prop_assert_eq!(score, observe(&mut restored, (at, value)));
            prop_assert!((0.0..=1.0).contains(&score.value), "{:?}", score);
            if let Some((low, high)) = score.expected {
                prop_assert!(low.is_finite() && high.is_finite() && low <= high, "{:?}", score);
            }
        }
    }
}
