//! Aggregates of zones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail that way"
)]

use crate::support::*;
use aggregator::Settings;
use gateway_core::{Detail, DeviceId, MetricId, MetricKind, Subject, ZoneId};

const ZONE: ZoneId = ZoneId(7);

fn two_devices_in_a_zone() -> Timeline {
    let mut line = Timeline::new(Settings { by_zone: true, percentiles: vec![50.0], ..settings() });
    line.aggregator.set_zone(DeviceId(0), Some(ZONE));
    line.aggregator.set_zone(DeviceId(1), Some(ZONE));
    line
}

#[test]
fn a_zone_is_published_with_its_devices_and_answers_for_no_reading() {
    let mut line = two_devices_in_a_zone();
    line.until(10).push(0, 0, 10, 20.0);
    line.until(20).push(1, 0, 20, 24.0);
    line.until(30).push(2, 0, 30, 100.0); // in no zone
    line.until(310);
    let subjects: Vec<_> = line.published.iter().map(|(_, a)| a.subject).collect();
    let devices = [0, 1, 2].map(|id| Subject::Device(DeviceId(id)));
    assert_eq!(subjects, [&devices[..], &[Subject::Zone(ZONE)]].concat());
    let zone = line.last();
    let merged = summary(zone, 0).unwrap();
    assert_eq!((merged.avg, merged.min, merged.max, merged.std, merged.count), (22.0, 20.0, 24.0, 2.0, 2));
    assert_eq!(merged.percentiles, [(50.0, 22.0)]);
    assert_eq!(merged.detail, Detail::Gauge { first: 20.0, last: 24.0 });
    assert_eq!((zone.readings, zone.revision, zone.late), (0, 0, 0));
}

#[test]
fn a_correction_of_a_device_corrects_its_zone_once() {
    let mut line = two_devices_in_a_zone();
    line.push(0, 0, 10, 1.0);
    line.push(1, 0, 10, 1.0);
    line.until(400).push(0, 0, 20, 4.0);
    line.until(405).push(1, 0, 30, 6.0);
    line.until(1000);
    let zones: Vec<_> =
        line.zones().iter().map(|(at, a)| (*at, a.revision, summary(a, 0).unwrap().count, a.late)).collect();
    // The devices' corrections leave at 410 and 415, the zone's when both are in.
    assert_eq!(zones, [(310, 0, 2, 0), (420, 1, 4, 2)]);
    assert_eq!(summary(line.last(), 0).unwrap().avg, 3.0);
}

#[test]
fn a_device_that_was_offline_corrects_its_zone_when_it_comes_back() {
    let mut line = two_devices_in_a_zone();
    line.push(0, 0, 10, 1.0);
    line.until(1000);
    for measured in [20, 320, 620] {
        line.push(1, 0, measured, 3.0);
        line.until(line.now);
    }
    line.until(2000);
    let zones: Vec<_> = line
        .zones()
        .iter()
        .map(|(_, a)| (seconds(a.window.start), a.revision, summary(a, 0).unwrap().count))
        .collect();
    assert_eq!(zones, [(0, 0, 1), (0, 1, 2), (300, 0, 1), (600, 0, 1)]);
}

#[test]
fn meters_add_up_and_states_too() {
    let mut line = two_devices_in_a_zone();
    line.aggregator.set_kind(MetricId(0), MetricKind::Counter);
    line.aggregator.set_kind(MetricId(1), MetricKind::State);
    for (device, by) in [(0, 1.0), (1, 2.0)] {
        line.push(device, 0, 0, 0.0);
        line.push(device, 1, 0, 0.0);
        line.push(device, 0, 100, 100.0 * by);
        line.push(device, 1, 100 + i64::from(device) * 100, by);
    }
    line.until(310);
    let zone = line.last();
    assert_eq!(summary(zone, 0).unwrap().detail, Detail::Counter { delta: 300.0, rate: 3.0, resets: 0 });
    let lasted = vec![(0.0, 300.0), (1.0, 200.0), (2.0, 100.0)];
    assert_eq!(summary(zone, 1).unwrap().detail, Detail::State { last: 2.0, changes: 2, duration: lasted });
}

#[test]
fn a_device_that_moves_leaves_its_open_window_behind() {
    let mut line = two_devices_in_a_zone();
    line.push(0, 0, 10, 1.0);
    line.aggregator.set_zone(DeviceId(0), Some(ZoneId(8)));
    line.until(320).push(0, 0, 320, 1.0);
    line.until(700);
    let zones: Vec<_> = line.zones().iter().map(|(_, a)| (a.subject, seconds(a.window.start))).collect();
    assert_eq!(zones, [(Subject::Zone(ZONE), 0), (Subject::Zone(ZoneId(8)), 300)]);
}
