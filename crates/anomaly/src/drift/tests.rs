//! Rooms of one zone that live their own lives, and one sensor that drifts.

use std::f64::consts::TAU;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// A floor: heated by day, with a sunny side, busy rooms, and weekends.
struct Floor {
    rng: StdRng,
    rooms: Vec<Room>,
    sun: f64,
}

struct Room {
    /// How far this room lies from the others, how much sun and how many people it gets.
    offset: f64,
    sunny: f64,
    busy: f64,
    warmth: f64,
}

impl Floor {
    fn new(rooms: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rooms = (0..rooms)
            .map(|_| Room {
                offset: rng.random_range(-0.8..0.8),
                sunny: rng.random_range(0.0..2.0),
                busy: rng.random_range(0.0..1.0),
                warmth: 0.0,
            })
            .collect();
        Self { rng, rooms, sun: 0.5 }
    }

    /// The readings of the sensors `minutes` after the reading before, in steps of 0.1.
    fn temperatures(&mut self, at: i64, minutes: i64) -> Vec<f64> {
        let hour = at.rem_euclid(DAY) as f64 / (60 * MINUTE) as f64;
        let works = at.div_euclid(DAY) % 7 < 5 && at.div_euclid(DAY) % 24 != 0;
        let heats = works && (6.0..18.0).contains(&hour);
        let wander = 0.02 * (minutes as f64).sqrt();
        self.sun = (self.sun + wander * self.rng.random_range(-1.7..1.7)).clamp(0.0, 1.0);
        let noon = ((hour - 8.0) / 9.0 * TAU / 2.0).sin().max(0.0)
            * f64::from(u8::from((8.0..17.0).contains(&hour)));
        let base = if heats { 21.5 } else { 19.0 };
        let (rng, sun) = (&mut self.rng, self.sun);
        let read = |room: &mut Room| {
            let people = if heats { room.busy * rng.random_range(0.0..2.0) } else { 0.0 };
            let target = room.sunny * sun * noon + people;
            room.warmth += (minutes as f64 / 120.0).min(1.0) * (target - room.warmth);
            ((base + room.offset + room.warmth + rng.random_range(-0.1..0.1)) * 10.0).round() / 10.0
        };
        self.rooms.iter_mut().map(read).collect()
    }
}

fn device(index: usize) -> DeviceId {
    DeviceId(u32::try_from(index).unwrap())
}

/// Begins of alarms: day and device. `fault(at, index, value)` is reported instead.
fn alarms(rooms: usize, seed: u64, days: i64, fault: impl Fn(i64, usize, f64) -> f64) -> Vec<(i64, usize)> {
    let mut floor = Floor::new(rooms, seed);
    let mut peers = Peers::default();
    let mut raised = vec![false; rooms];
    let mut found = Vec::new();
    for at in (0..days * DAY).step_by(10 * 60_000) {
        for (index, value) in floor.temperatures(at, 10).into_iter().enumerate() {
            let score = peers.observe(device(index), Timestamp::from_millis(at), fault(at, index, value));
            let anomalies = score.value >= 0.5;
            if anomalies && !raised[index] {
                assert_eq!(score.anomaly_kind, Some(AnomalyKind::Drift));
                found.push((at / DAY, index));
            }
            raised[index] = anomalies;
        }
    }
    found
}

#[test]
fn is_quiet_for_months_on_a_floor_whose_rooms_differ() {
    for rooms in [3, 4, 8] {
        for seed in 0..3 {
            assert_eq!(alarms(rooms, seed, 90, |_, _, value| value), [], "{rooms} rooms, seed {seed}");
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the table of delays is for people")]
fn finds_the_one_that_drifts_and_accuses_no_other() {
    let (mut accused, mut late) = (0, Vec::new());
    for rooms in [3, 6] {
        for (a_day, deadline) in [(0.1, 24), (0.2, 10), (-0.5, 5)] {
            let mut delays = Vec::new();
            for seed in 10_u32..14 {
                let begin = 9 + i64::from(seed) % 3 * 6;
                let found = alarms(rooms, u64::from(seed), 45, |at, index, value| {
                    let days = (at - begin * DAY).max(0) as f64 / DAY as f64;
                    if index == 1 { value + a_day * days } else { value }
                });
                accused += found.iter().filter(|(_, index)| *index != 1).count();
                let first = found.iter().find(|(day, index)| *index == 1 && *day >= begin);
                delays.push(first.map(|(day, _)| day - begin));
            }
            println!("{rooms} rooms, {a_day} K a day: after {delays:?} days");
            if delays.iter().any(|delay| delay.is_none_or(|days| days > deadline)) {
                late.push((rooms, a_day, delays));
            }
        }
    }
    assert!(late.is_empty(), "{late:?}");
    assert!(accused <= 1, "{accused} alarms for devices that did not drift");
}

#[test]
fn expects_what_the_peers_show_and_the_usual_offset() {
    let mut floor = Floor::new(5, 3);
    let mut peers = Peers::default();
    for at in (0..40 * DAY).step_by(10 * 60_000) {
        let drift = (at - 14 * DAY).max(0) as f64 / DAY as f64 * 0.3;
        let values = floor.temperatures(at, 10);
        for (index, value) in values.iter().enumerate() {
            let value = if index == 0 { value + drift } else { *value };
            let score = peers.observe(device(index), Timestamp::from_millis(at), value);
            if index == 0 && score.value >= 0.5 {
                let (low, high) = score.expected.unwrap();
                assert!(low < values[0] && values[0] < high, "{low} {high}: without the fault {}", values[0]);
                return;
            }
        }
    }
    panic!("found nothing");
}

#[test]
fn two_devices_and_silent_peers_are_no_evidence() {
    assert_eq!(
        alarms(2, 1, 40, |at, index, value| if index == 0 { value + at as f64 / DAY as f64 } else { value }),
        []
    );

    let mut floor = Floor::new(4, 4);
    let mut peers = Peers::default();
    for at in (0..40 * DAY).step_by(10 * 60_000) {
        for (index, value) in floor.temperatures(at, 10).into_iter().enumerate() {
            let alone = at > 15 * DAY;
            if !alone || index == 0 {
                let value = if alone { value + 9.0 } else { value };
                let score = peers.observe(device(index), Timestamp::from_millis(at), value);
                assert!(score.value < 0.5, "{score:?}");
            }
        }
    }
}

#[test]
fn meters_that_count_and_batteries_that_fade_move_apart_by_nature() {
    for direction in [1.0, -1.0] {
        let mut peers = Peers::default();
        for hour in 0..60 * 24_i64 {
            for index in 0..4 {
                let faster = if index == 0 { 0.5 * (hour - 400).max(0) as f64 } else { 0.0 };
                let value = direction * (hour as f64 + faster);
                let at = Timestamp::from_millis(hour * 60 * MINUTE);
                assert!(peers.observe(device(index), at, value).value < 0.5, "hour {hour}");
            }
        }
    }
}

#[test]
fn an_hour_of_nonsense_is_no_drift() {
    let found = alarms(4, 5, 30, |at, index, value| {
        let broken = index == 2 && (20 * DAY..20 * DAY + 60 * MINUTE).contains(&at);
        if broken { -40.0 } else { value }
    });
    assert_eq!(found, []);
}

#[test]
fn a_sensor_that_was_moved_has_a_new_usual_offset_in_two_months() {
    let mut floor = Floor::new(4, 6);
    let mut peers = Peers::default();
    let (mut anomalies, mut newest) = (0, 0);
    for at in (0..100 * DAY).step_by(10 * 60_000) {
        for (index, value) in floor.temperatures(at, 10).into_iter().enumerate() {
            let value = if index == 0 && at >= 15 * DAY { value + 3.0 } else { value };
            if peers.observe(device(index), Timestamp::from_millis(at), value).value >= 0.5 && index == 0 {
                (anomalies, newest) = (anomalies + 1, at / DAY);
            }
        }
    }
    assert!(anomalies > 0 && newest < 15 + 60, "day {newest}");
}

#[test]
fn the_state_of_a_device_is_small_and_bounded() {
    let mut peers = Peers::default();
    for index in 0..1000 {
        peers.observe(device(index), Timestamp::from_millis(1_800_000_000_000), 21.0);
    }
    assert_eq!(peers.members.len(), MAX_MEMBERS);
    assert!(postcard::to_stdvec(&peers).unwrap().len() <= MAX_MEMBERS * 100);
    peers.retain(|device| device.0 == 7);
    assert_eq!(peers.members.len(), 1);
}

fn any_reading() -> impl Strategy<Value = (usize, i64, f64)> {
    let value = prop_oneof![
        8 => -10.0..10.0_f64,
        1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(f64::NAN), Just(f64::INFINITY), Just(0.0)],
    ];
    (0_usize..5, prop_oneof![9 => 0..10_000_000_i64, 1 => any::<i64>()], value)
}

proptest! {
    #[test]
    fn any_readings_score_in_range_and_survive_a_restart(readings in prop::collection::vec(any_reading(), 1..400)) {
        let mut peers = Peers::default();
        let mut at = 0_i64;
        for (index, step, value) in readings {
            at = at.saturating_add(step);
            let mut restored: Peers = postcard::from_bytes(&postcard::to_stdvec(&peers).unwrap()).unwrap();
            let score = peers.observe(device(index), Timestamp::from_millis(at), value);
            prop_assert_eq!(score, restored.observe(device(index), Timestamp::from_millis(at), value));
            prop_assert!((0.0..=1.0).contains(&score.value), "{:?}", score);
            if let Some((low, high)) = score.expected {
                prop_assert!(low.is_finite() && high.is_finite() && low <= high, "{:?}", score);
            }
        }
    }
}

/// The score of an anomaly.
fn anomaly(anomaly_kind: AnomalyKind) -> Score {
    Score { value: 0.8, expected: None, anomaly_kind: Some(anomaly_kind) }
}

/// Whether an anomaly is reported for each device that shows the same anomaly_kind, ten minutes apart, after ten days; the last device is `away`
/// degrees warmer by then.
fn reported(anomaly_kind: AnomalyKind, away: f64) -> Vec<bool> {
    let mut floor = Floor::new(4, 7);
    let mut peers = Peers::default();
    let end = 10 * DAY;
    for at in (0..=end).step_by(10 * 60_000) {
        for (index, value) in floor.temperatures(at, 10).into_iter().enumerate() {
            let value = if index == 3 && at == end { value + away } else { value };
            peers.observe(device(index), Timestamp::from_millis(at), value);
        }
    }
    let later = |index: i64| Timestamp::from_millis(end + index * 10 * MINUTE);
    (0..4_u8)
        .map(|index| {
            peers.suppress_shared(device(index.into()), later(index.into()), anomaly(anomaly_kind)).value
                >= 0.5
        })
        .collect()
}

#[test]
fn what_a_whole_zone_shows_is_told_of_the_first() {
    assert_eq!(reported(AnomalyKind::Profile, 0.0), [true, false, false, false]);
}

#[test]
fn who_is_apart_from_its_neighbours_is_told_though_they_were() {
    assert_eq!(reported(AnomalyKind::Profile, 9.0), [true, false, false, true]);
}

#[test]
fn what_a_sensor_does_is_told_of_each() {
    assert_eq!(reported(AnomalyKind::Stuck, 0.0), [true; 4]);
}

#[test]
fn what_is_told_of_one_device_is_no_reason_to_keep_its_next_oddity_back() {
    let mut peers = Peers::default();
    for minutes in [0, 10] {
        let score = peers.suppress_shared(
            device(0),
            Timestamp::from_millis(minutes * MINUTE),
            anomaly(AnomalyKind::Shift),
        );
        assert!(score.value >= 0.5);
    }
}
