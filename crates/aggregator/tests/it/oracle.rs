//! Random lives of an aggregator, against an oracle that keeps all readings and computes everything anew in the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail that way"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{TEN, secs};
use aggregator::{Admission, Aggregator, Settings};
use gateway_core::{
    Aggregate, Detail, DeviceId, MetricId, MetricKind, Now, Reading, Subject, Timestamp, Window, ZoneId,
};
use proptest::prelude::*;

const METRICS: u32 = 3;
const COUNTER: MetricId = MetricId(1);

#[derive(Debug, Clone)]
enum Event {
    /// A reading, measured so many seconds before or after now.
    Push { device: u32, metric: u32, age: i64, value: f64 },
    /// Time passes.
    Pass { seconds: i64 },
    /// The aggregator is looked after.
    Advance,
    /// The clock is set by so many seconds.
    Step { by: i64 },
    /// The window gets this length in seconds.
    Reconfigure { length: u64, hops: u64 },
    /// The gateway restarts from a checkpoint.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let age = prop_oneof![6 => Just(0i64), 4 => 0i64..30, 3 => 0i64..400, 2 => 0i64..4000, 1 => -200i64..0];
    let push = (0u32..3, 0..METRICS, age, -100i32..100).prop_map(|(device, metric, age, value)| {
        Event::Push { device, metric, age, value: f64::from(value) / 4.0 }
    });
    prop_oneof![
        60 => push,
        20 => (0i64..20).prop_map(|seconds| Event::Pass { seconds }),
        3 => (0i64..600).prop_map(|seconds| Event::Pass { seconds }),
        15 => Just(Event::Advance),
        1 => prop_oneof![-5000i64..5000, Just(3600), Just(-3600)].prop_map(|by| Event::Step { by }),
        1 => (1u64..6, 1u64..4).prop_map(|(length, hops)| Event::Reconfigure { length: length * 30, hops }),
        1 => Just(Event::Restart),
    ]
}

fn settings(length: u64, hops: u64) -> Settings {
    Settings {
        length: secs(length),
        every: secs(length / hops),
        lateness: secs(5),
        correct_for: secs(600),
        max_future: secs(100),
        percentiles: vec![50.0],
        by_zone: true,
    }
}

/// What a life left behind.
#[derive(Debug, PartialEq)]
struct Life {
    published: Vec<Aggregate>,
    /// With the windows it belongs into by the settings of its time.
    admitted: Vec<(Reading, Vec<Window>)>,
}

/// Lives through `events`; restarts only where `restarts`.
fn live(events: &[Event], start: Settings, restarts: bool) -> Life {
    let mut aggregator = Aggregator::new(start);
    for device in 0..2 {
        aggregator.set_zone(DeviceId(device), Some(ZoneId(0)));
    }
    aggregator.set_kind(COUNTER, MetricKind::Counter);
    aggregator.set_kind(MetricId(2), MetricKind::State);
    let mut life = Life { published: vec![], admitted: vec![] };
    let mut now = Timestamp::from_millis(TEN);
    for event in events {
        match event {
            Event::Push { device, metric, age, value } => {
                let at = Timestamp::from_millis(now.as_millis() - age * 1000);
                let reading =
                    Reading { device: DeviceId(*device), metric: MetricId(*metric), value: *value, at };
                let Settings { length, every, .. } = *aggregator.settings();
                if aggregator.push(&reading, Now::at(now)) == Admission::Admitted {
                    life.admitted.push((reading, Window::containing(at, length, every).collect()));
                }
            }
            Event::Pass { seconds } => now = now + Duration::from_secs(seconds.unsigned_abs()),
            Event::Advance => {
                aggregator.advance(Now::at(now), &mut life.published);
                assert!(
                    aggregator.next_deadline().is_none_or(|next| next > now),
                    "advance left something due"
                );
            }
            Event::Step { by } => {
                let new = Timestamp::from_millis(now.as_millis() + by * 1000);
                aggregator.clock_stepped(now, new);
                now = new;
            }
            Event::Reconfigure { length, hops } => aggregator.reconfigure(settings(*length, *hops)),
            Event::Restart if restarts => {
                let checkpoint = postcard::to_stdvec(&aggregator).unwrap();
                aggregator = postcard::from_bytes(&checkpoint).unwrap();
            }
            Event::Restart => {}
        }
        let answered: u64 = life.published.iter().map(|a| u64::from(a.readings)).sum();
        assert_eq!(life.admitted.len() as u64, answered + aggregator.open_readings(), "after {event:?}");
    }
    aggregator.advance(Now::at(Timestamp::MAX), &mut life.published);
    assert_eq!((aggregator.open_readings(), aggregator.next_deadline()), (0, None));
    life
}

/// The highest revision of each window; no revision may be missing or come twice.
fn highest(published: &[Aggregate]) -> BTreeMap<(Subject, Window), &Aggregate> {
    let mut highest: BTreeMap<_, &Aggregate> = BTreeMap::new();
    for aggregate in published {
        let before = highest.insert((aggregate.subject, aggregate.window), aggregate);
        assert_eq!(aggregate.revision, before.map_or(0, |before| before.revision + 1), "{aggregate:?}");
    }
    highest
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

/// Computes one metric of one window from all its readings, in the order of their times.
fn check_summary(aggregate: &Aggregate, metric: MetricId, readings: &[&Reading]) {
    let (_, found) = aggregate.metrics.iter().find(|(known, _)| *known == metric).expect("a summary");
    let values: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
    let count = values.len() as f64;
    let avg = values.iter().sum::<f64>() / count;
    let std = (values.iter().map(|value| (value - avg).powi(2)).sum::<f64>() / count).sqrt();
    assert_eq!(found.count, values.len() as u64);
    assert!(close(found.avg, avg) && close(found.std, std), "{found:?} {values:?}");
    assert_eq!(found.min, values.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(found.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let mut sorted = readings.to_vec();
    sorted.sort_by_key(|reading| reading.at); // stable: readings of one instant stay in the order they came
    match &found.detail {
        Detail::Gauge { first, last } => {
            assert_eq!((*first, *last), (sorted[0].value, sorted[sorted.len() - 1].value));
        }
        Detail::State { last, duration, .. } => {
            assert_eq!(*last, sorted[sorted.len() - 1].value);
            let whole: f64 = duration.iter().map(|(_, seconds)| seconds).sum();
            assert!(whole <= aggregate.window.length().as_secs_f64() + 1e-9);
        }
        Detail::Counter { delta, .. } => assert!(*delta >= 0.0),
    }
}

fn check_devices(life: &Life) {
    let highest = highest(&life.published);
    let mut expected: BTreeMap<(Subject, Window), BTreeMap<MetricId, Vec<&Reading>>> = BTreeMap::new();
    for (reading, windows) in &life.admitted {
        for window in windows {
            let subject = Subject::Device(reading.device);
            expected.entry((subject, *window)).or_default().entry(reading.metric).or_default().push(reading);
        }
    }
    for (key, metrics) in &expected {
        let aggregate = highest.get(key).expect("a publication");
        assert_eq!(aggregate.metrics.len(), metrics.len());
        for (metric, readings) in metrics {
            check_summary(aggregate, *metric, readings);
        }
    }
    let devices = highest.keys().filter(|(subject, _)| matches!(subject, Subject::Device(_)));
    assert_eq!(devices.count(), expected.len(), "windows that nobody spoke in");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn tumbling_windows_hold_exactly_what_was_admitted(
        events in prop::collection::vec(event(), 1..400),
        length in 1u64..6,
    ) {
        let events: Vec<Event> = events
            .into_iter()
            .map(|event| match event {
                Event::Reconfigure { length, .. } => Event::Reconfigure { length, hops: 1 },
                event => event,
            })
            .collect();
        check_devices(&live(&events, settings(length * 30, 1), true));
    }

    #[test]
    fn hopping_windows_balance_and_never_repeat_a_revision(
        events in prop::collection::vec(event(), 1..400),
        hops in 1u64..4,
    ) {
        let life = live(&events, settings(60, hops), true);
        highest(&life.published);
    }

    #[test]
    fn a_restart_changes_nothing(events in prop::collection::vec(event(), 1..300)) {
        prop_assert_eq!(live(&events, settings(60, 1), true), live(&events, settings(60, 1), false));
    }

    #[test]
    fn without_setting_the_clock_a_zone_holds_what_its_devices_told(
        events in prop::collection::vec(event(), 1..400),
    ) {
        let events: Vec<Event> = events
            .into_iter()
            .filter(|event| !matches!(event, Event::Step { .. } | Event::Reconfigure { .. }))
            .collect();
        // Long enough that no zone's window is given up before its devices'.
        let start = Settings { correct_for: secs(100_000), ..settings(60, 1) };
        let life = live(&events, start, true);
        let highest = highest(&life.published);
        for ((subject, window), zone) in &highest {
            let Subject::Zone(_) = subject else { continue };
            for (metric, summary) in &zone.metrics {
                let parts = (0..2).filter_map(|device| highest.get(&(Subject::Device(DeviceId(device)), *window)));
                let parts: Vec<_> = parts.filter_map(|part| part.metrics.iter().find(|(m, _)| m == metric)).collect();
                let count: u64 = parts.iter().map(|(_, part)| part.count).sum();
                prop_assert_eq!(summary.count, count);
                let sum: f64 = parts.iter().map(|(_, part)| part.avg * part.count as f64).sum();
                prop_assert!(close(summary.avg, sum / count as f64));
            }
        }
    }

    /// Deltas over all windows add up to what a look at all readings in the order of time gives, late readings or not: nothing
    /// is lost between windows and nothing counted twice.
    #[test]
    fn a_counter_adds_up_over_its_windows(
        steps in prop::collection::vec((0i64..40, 0i64..400, 0u8..50), 2..300),
        restart in 0usize..300,
    ) {
        let mut aggregator = Aggregator::new(Settings { correct_for: secs(3600), ..settings(60, 1) });
        aggregator.set_kind(COUNTER, MetricKind::Counter);
        let (mut now, mut meter, mut published, mut sent) = (TEN, 0.0, vec![], BTreeMap::new());
        for (number, (pause, delay, rise)) in steps.iter().enumerate() {
            now += pause * 1000 + 1;
            meter += f64::from(*rise);
            let delay = if number > 0 && delay % 4 == 0 { *delay } else { 0 };
            sent.insert((now, number), (now + delay * 1000, meter));
        }
        let mut arrivals: Vec<_> = sent.iter().map(|((at, _), (arrival, value))| (*arrival, *at, *value)).collect();
        arrivals.sort_by_key(|(arrival, ..)| *arrival);
        for (number, (arrival, at, value)) in arrivals.into_iter().enumerate() {
            let now = Now::at(Timestamp::from_millis(arrival));
            aggregator.advance(now, &mut published);
            let at = Timestamp::from_millis(at);
            let reading = Reading { device: DeviceId(0), metric: COUNTER, value, at };
            prop_assert_eq!(aggregator.push(&reading, now), Admission::Admitted);
            if number == restart {
                aggregator = postcard::from_bytes(&postcard::to_stdvec(&aggregator).unwrap()).unwrap();
            }
        }
        aggregator.advance(Now::at(Timestamp::MAX), &mut published);
        let total: f64 = highest(&published)
            .values()
            .map(|aggregate| match aggregate.metrics[0].1.detail {
                Detail::Counter { delta, resets: 0, .. } => delta,
                ref other => panic!("{other:?}"),
            })
            .sum();
        let (first, last) = (sent.first_key_value().unwrap().1.1, sent.last_key_value().unwrap().1.1);
        prop_assert!(close(total, last - first), "{total} is not {}", last - first);
    }
}
