//! No alarms in an ordinary building, and one alarm for a stuck state.

use gateway_core::ports::Detector;
use gateway_core::{AnomalyKind, MetricKind, Moment, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Quantity, SeriesModel};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440;
const NONE: [i64; 0] = [];
/// A Monday, 2026-11-23.
const MONDAY: i64 = 1_795_392_000_000;

/// The minutes at which an alarm begins in `days` days of a state that is reported every five minutes.
fn alarms(days: i64, mut state: impl FnMut(i64) -> bool) -> Vec<i64> {
    let mut model = SeriesModel::new(Quantity::new(MetricKind::State, "power"));
    let mut raised = false;
    let mut alarms = Vec::new();
    for minute in (0..days * DAY).step_by(5) {
        let moment = Moment::utc(Timestamp::from_millis(MONDAY + minute * MINUTE));
        let score = model.observe(moment, f64::from(u8::from(state(minute))));
        let anomaly = score.value >= 0.5;
        if anomaly && !raised {
            assert_eq!(score.anomaly_kind, Some(AnomalyKind::Stuck));
            alarms.push(minute);
        }
        raised = anomaly;
    }
    alarms
}

fn works(minute: i64) -> bool {
    minute / DAY % 7 < 5 && (8 * 60..18 * 60).contains(&(minute % DAY))
}

/// Open for five minutes now and then, while people are in.
fn door(rng: &mut StdRng, minute: i64) -> bool {
    works(minute) && rng.random_bool(0.15)
}

/// People come and go while the building is open, but for the days of `holiday`.
fn occupancy(rng: &mut StdRng, holiday: std::ops::Range<i64>) -> impl FnMut(i64) -> bool {
    let (mut until, mut there) = (0, false);
    move |minute| {
        if minute >= until {
            there = rng.random_bool(0.6);
            until = minute + rng.random_range(10..120);
        }
        there && works(minute) && !holiday.contains(&(minute / DAY))
    }
}

#[test]
fn doors_and_rooms_are_quiet_over_nights_and_weekends() {
    for seed in 0..5 {
        let mut rng = StdRng::seed_from_u64(seed);
        assert_eq!(alarms(90, |minute| door(&mut rng, minute)), NONE, "door {seed}");
        assert_eq!(alarms(90, occupancy(&mut rng, 0..0)), NONE, "room {seed}");
    }
}

#[test]
fn a_holiday_of_two_weeks_is_told_once_at_most() {
    for seed in 0..5 {
        let mut rng = StdRng::seed_from_u64(seed);
        let found = alarms(120, occupancy(&mut rng, 56..70));
        assert!(
            found.len() <= 1 && found.iter().all(|minute| (56..70).contains(&(minute / DAY))),
            "{found:?}"
        );
    }
}

#[test]
fn a_heating_valve_that_rests_all_summer_is_told_once_at_most() {
    let valve = |minute: i64| minute / DAY % 365 < 150 && minute / 25 % 3 == 0;
    let found = alarms(400, valve);
    assert!(found.len() <= 1, "{found:?}");
}

#[test]
fn a_door_left_open_is_told_once_after_an_hour() {
    let mut rng = StdRng::seed_from_u64(1);
    let left = 30 * DAY + 600;
    let found = alarms(31, |minute| if minute < left { door(&mut rng, minute) } else { true });
    assert!(matches!(found[..], [minute] if (60..=120).contains(&(minute - left))), "{found:?}");
}

#[test]
fn the_first_week_says_nothing_and_neither_does_a_state_that_hardly_ever_changes() {
    assert_eq!(alarms(7, |minute| minute > 6 * DAY || minute / 10 % 2 == 0), NONE);
    assert_eq!(alarms(90, |minute| minute / DAY % 20 == 0), NONE);
}

#[test]
fn silence_is_not_a_value() {
    let mut model = SeriesModel::new(Quantity::new(MetricKind::State, "power"));
    let mut score_of = |minute: i64, value: f64| {
        model.observe(Moment::utc(Timestamp::from_millis(MONDAY + minute * MINUTE)), value).value
    };
    for change in 0..4000 {
        assert!(score_of(change * 60, f64::from(u8::from(change % 2 == 0))) < 0.5);
    }
    assert!(score_of(4000 * 60 + 300 * DAY, 0.0) < 0.5, "the time in between is unknown");
}
