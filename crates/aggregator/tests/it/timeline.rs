//! When windows are published, and what of: timelines of one or a few devices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail that way"
)]

use crate::support::*;
use aggregator::{Admission, MAX_KEPT_PER_DEVICE, MAX_OPEN_PER_DEVICE, Settings};
use gateway_core::{Detail, MetricId, MetricKind, TimeQuality};

fn brief(published: i64, start: i64, revision: u32, count: u64, late: u32) -> Brief {
    Brief { published, device: 0, start, revision, count, late }
}

#[test]
fn a_window_is_published_when_the_clock_reaches_its_end_and_lateness() {
    let mut line = Timeline::new(settings());
    for second in (0..300).step_by(30) {
        line.live(second, 20.0 + second as f64);
        line.push(0, 1, second, 50.0);
    }
    line.until(309);
    assert_eq!(line.briefs(), []);
    line.until(310);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 10, 0)]);
    let all = line.last();
    assert_eq!((all.window, all.readings, all.time_quality), (window(0, 300), 20, TimeQuality::Synced));
    let temperature = summary(all, 0).unwrap();
    assert_eq!((temperature.avg, temperature.min, temperature.max), (155.0, 20.0, 290.0));
    assert_eq!(temperature.detail, Detail::Gauge { first: 20.0, last: 290.0 });
    assert_eq!(summary(all, 1).unwrap().count, 10);
}

#[test]
fn a_reading_within_the_lateness_still_belongs_to_its_window() {
    let mut line = Timeline::new(settings());
    line.live(299, 1.0);
    line.live(305, 2.0);
    line.push(0, 0, 298, 3.0);
    line.until(310);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 2, 0)]);
}

#[test]
fn a_batch_of_old_readings_falls_into_its_right_windows_without_corrections() {
    let mut line = Timeline::new(settings());
    line.live(0, 1.0);
    line.until(3 * 3600); // offline since
    for second in (60..3 * 3600 - 60).step_by(60) {
        assert_eq!(line.push(0, 0, second, 1.0), Admission::Admitted, "{second}");
        line.until(line.now);
    }
    line.until(4 * 3600);
    let briefs = line.briefs();
    let (first, rest): (Vec<Brief>, Vec<Brief>) = briefs.iter().partition(|brief| brief.start == 0);
    // Published on time with the reading before the outage, then corrected with the first of the batch.
    assert_eq!(first, [brief(310, 0, 0, 1, 0), brief(3 * 3600 + 10, 0, 1, 5, 4)]);
    let starts: Vec<i64> = rest.iter().map(|brief| brief.start).collect();
    assert_eq!(starts, (300..3 * 3600).step_by(300).collect::<Vec<_>>());
    assert!(rest.iter().all(|brief| brief.revision == 0 && brief.late == 0));
    let (last, whole) = rest.split_last().unwrap();
    assert!(whole.iter().all(|brief| brief.count == 5 && brief.published == 3 * 3600));
    assert!(last.published <= 3 * 3600 + 300, "the last window waits no longer than its length: {last:?}");
}

#[test]
fn the_last_window_of_a_batch_that_takes_a_while_comes_soon_after_it() {
    let mut line = Timeline::new(Settings { lateness: secs(2), ..settings() });
    line.until(3600);
    for number in 0..60 {
        line.until(3600 + number).push(0, 0, number * 60, 1.0);
    }
    line.until(5000);
    let last = *line.briefs().last().unwrap();
    assert_eq!((last.start, last.revision, last.count), (3300, 0, 5));
    assert!(last.published <= 3600 + 59 + 2, "{last:?}");
}

#[test]
fn a_device_half_an_hour_behind_gets_one_complete_aggregate_per_window() {
    let mut line = Timeline::new(settings());
    for now in (1800..7200).step_by(60) {
        line.until(now).push(0, 0, now - 1800, 1.0);
    }
    line.until(9000);
    let briefs = line.briefs();
    let expected: Vec<(i64, u32, u64, u32)> = (0..5400).step_by(300).map(|start| (start, 0, 5, 0)).collect();
    assert_eq!(briefs.iter().map(|b| (b.start, b.revision, b.count, b.late)).collect::<Vec<_>>(), expected);
    assert_eq!(briefs[0].published, 1800 + 360, "by the device's watermark");
    assert_eq!(briefs[17].published, 7140 + 120, "by its silence: two intervals");
}

#[test]
fn a_silent_device_delays_no_other() {
    let mut line = Timeline::new(settings());
    line.push(1, 0, 10, 1.0);
    line.live(200, 1.0);
    line.live(400, 1.0);
    line.until(310 + 300);
    let starts: Vec<(u32, i64)> = line.briefs().iter().map(|brief| (brief.device, brief.published)).collect();
    assert_eq!(starts, [(0, 310), (1, 310), (0, 610)]);
}

#[test]
fn a_reading_far_ahead_closes_nothing_early() {
    let mut line = Timeline::new(settings());
    line.live(10, 1.0);
    assert_eq!(line.push(0, 0, 3000, 1.0), Admission::Admitted);
    line.live(20, 1.0);
    line.until(309);
    assert_eq!(line.briefs(), []);
    line.until(3310);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 2, 0), brief(3310, 3000, 0, 1, 0)]);
}

#[test]
fn late_readings_are_gathered_into_one_correction() {
    let mut line = Timeline::new(settings());
    line.live(100, 1.0);
    line.live(320, 1.0);
    line.until(400).push(0, 0, 200, 3.0);
    line.until(405).push(0, 0, 150, 5.0);
    line.until(420).push(0, 0, 160, 5.0);
    line.until(500);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 1, 0), brief(410, 0, 1, 3, 2), brief(430, 0, 2, 4, 3)]);
    assert_eq!(line.published.iter().map(|(_, a)| a.readings).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(summary(line.last(), 0).unwrap().detail, Detail::Gauge { first: 1.0, last: 3.0 });
}

#[test]
fn without_lateness_a_correction_leaves_at_once() {
    let mut line = Timeline::new(Settings { lateness: secs(0), ..settings() });
    line.live(100, 1.0);
    line.live(300, 1.0);
    line.until(301).push(0, 0, 299, 1.0);
    line.until(301);
    assert_eq!(line.briefs(), [brief(300, 0, 0, 1, 0), brief(301, 0, 1, 2, 1)]);
}

#[test]
fn a_window_without_readings_starts_with_its_first_late_reading() {
    let mut line = Timeline::new(settings());
    line.live(10, 1.0);
    line.live(700, 1.0);
    line.until(720).push(0, 0, 400, 1.0);
    line.until(730);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 1, 0), brief(730, 300, 0, 1, 1)]);
}

#[test]
fn too_late_is_measured_by_the_devices_watermark() {
    let mut line = Timeline::new(settings());
    line.live(7200, 1.0);
    assert_eq!(line.push(0, 0, 0, 1.0), Admission::Late, "two hours behind its own newest");
    assert_eq!(
        line.push(0, 0, 3300, 1.0),
        Admission::Admitted,
        "that window ended an hour ago to the second"
    );
    assert_eq!(line.push(0, 0, 3299, 1.0), Admission::Late);
    assert_eq!(line.push(1, 0, 0, 1.0), Admission::Admitted, "a device that was offline");
}

#[test]
fn within_the_lateness_nothing_is_too_late_even_without_corrections() {
    let mut line = Timeline::new(Settings { correct_for: secs(0), ..settings() });
    line.live(305, 1.0);
    assert_eq!(line.push(0, 0, 290, 1.0), Admission::Admitted);
    line.live(311, 1.0);
    assert_eq!(line.push(0, 0, 291, 1.0), Admission::Late);
    line.until(311);
    assert_eq!(line.briefs(), [brief(310, 0, 0, 1, 0)]);
}

#[test]
fn refuses_what_lies_beyond_the_future_and_what_is_no_number() {
    let mut line = Timeline::new(settings());
    assert_eq!(line.push(0, 0, 3600, 1.0), Admission::Admitted);
    assert_eq!(line.push(0, 0, 3601, 1.0), Admission::Future);
    assert_eq!(line.push(0, 0, 0, f64::NAN), Admission::NotFinite);
    assert_eq!(line.push(0, 0, 0, f64::INFINITY), Admission::NotFinite);
    assert_eq!(line.push(u32::MAX, 0, 0, 1.0), Admission::TooManyWindows);
}

#[test]
fn hopping_windows_overlap_and_each_reading_counts_once_in_the_ledger() {
    let mut line = Timeline::new(Settings { every: secs(100), ..settings() });
    for second in (0..600).step_by(50) {
        line.live(second, 1.0);
    }
    line.end();
    let counts: Vec<(i64, u64)> = line.briefs().iter().map(|brief| (brief.start, brief.count)).collect();
    let whole = [(0, 6), (100, 6), (200, 6), (300, 6)];
    assert_eq!(counts, [&[(-200, 2), (-100, 4)], &whole[..], &[(400, 4), (500, 2)]].concat());
    assert_eq!(line.published.iter().map(|(_, a)| a.readings).sum::<u32>(), 12);
}

#[test]
fn a_late_reading_goes_into_those_hopping_windows_that_still_take_it() {
    let mut line = Timeline::new(Settings { every: secs(100), correct_for: secs(100), ..settings() });
    line.live(0, 1.0);
    line.live(590, 1.0);
    // -200..100 to 200..500 hold or held 250; only those that ended at 490 or later take it.
    assert_eq!(line.push(0, 0, 250, 1.0), Admission::Admitted);
    assert_eq!(line.push(0, 0, 150, 1.0), Admission::Late);
    line.until(605);
    assert_eq!(line.briefs().iter().filter(|b| b.published == 600).count(), 1);
    assert_eq!(line.last().window, window(200, 500));
}

#[test]
fn a_batch_pushed_in_one_go_loses_nothing_for_lack_of_room() {
    let second = Settings { length: secs(1), every: secs(1), ..settings() };
    let mut line = Timeline::new(second);
    line.until(7200);
    for number in 0..2000 {
        assert_eq!(line.push(0, 0, number, 1.0), Admission::Admitted, "{number}");
    }
    line.end();
    let starts: Vec<i64> = line.briefs().iter().map(|brief| brief.start).collect();
    assert_eq!(starts, (0..2000).collect::<Vec<_>>());
    assert!(line.briefs().iter().all(|brief| brief.revision == 0 && brief.late == 0));
}

#[test]
fn a_batch_pushed_in_one_go_fills_its_hopping_windows() {
    let mut line = Timeline::new(Settings { length: secs(10), every: secs(1), ..settings() });
    line.until(7200);
    (0..2000).for_each(|number| assert_eq!(line.push(0, 0, number, 1.0), Admission::Admitted));
    line.end();
    let whole = line.briefs().into_iter().filter(|brief| (0..=1990).contains(&brief.start));
    assert_eq!(whole.filter(|brief| brief.count == 10 && brief.revision == 0).count(), 1991);
}

#[test]
fn a_device_that_jumps_about_in_time_runs_out_of_windows() {
    let mut line = Timeline::new(Settings { length: secs(1), every: secs(1), ..settings() });
    let open = (0..).take_while(|second| line.push(0, 0, *second, 1.0) == Admission::Admitted).count();
    assert_eq!(open, MAX_OPEN_PER_DEVICE);
    line.until(30);
    assert_eq!(line.push(0, 0, 500, 1.0), Admission::Admitted, "there is room again");
}

#[test]
fn new_settings_leave_open_windows_as_they_are() {
    let mut line = Timeline::new(settings());
    line.live(10, 1.0);
    line.aggregator.reconfigure(Settings { length: secs(60), every: secs(60), ..settings() });
    line.live(30, 1.0);
    line.live(130, 1.0);
    line.until(500);
    let windows: Vec<_> = line.published.iter().map(|(at, aggregate)| (*at, aggregate.window)).collect();
    assert_eq!(windows, [(70, window(0, 60)), (190, window(120, 180)), (310, window(0, 300))]);
}

#[test]
fn percentiles_come_with_the_summary() {
    let mut line = Timeline::new(Settings { percentiles: vec![50.0, 95.0], ..settings() });
    for second in 0..=100 {
        line.live(second, 1000.0 + second as f64);
    }
    line.end();
    let percentiles = &summary(line.last(), 0).unwrap().percentiles;
    // 101 values, so that one rank is one percent.
    assert!((percentiles[0].1 - 1050.0).abs() <= 1.0 && percentiles[0].0 == 50.0);
    assert!((percentiles[1].1 - 1095.0).abs() <= 1.0 && percentiles[1].0 == 95.0);
}

#[test]
fn no_increase_of_a_counter_between_windows_is_lost_or_told_twice() {
    let mut line = Timeline::new(settings());
    line.aggregator.set_kind(MetricId(0), MetricKind::Counter);
    for second in (0..1500).step_by(50) {
        line.live(second, second as f64);
    }
    line.until(1520).push(0, 0, 1199, 1199.0); // a late reading after the last known of its window
    line.until(1530).push(0, 0, 1120, 1120.0); // and one in the middle
    line.end();
    let mut highest = std::collections::BTreeMap::new();
    for (_, aggregate) in &line.published {
        let Detail::Counter { delta, rate, resets: 0 } = summary(aggregate, 0).unwrap().detail else {
            panic!()
        };
        assert!((rate - 1.0).abs() < 1e-9, "{rate}");
        highest.insert(aggregate.window.start, delta);
    }
    assert_eq!(highest.values().sum::<f64>(), 1450.0);
    assert_eq!(highest.len(), 5);
}

#[test]
fn a_state_holds_over_the_start_of_a_window() {
    let mut line = Timeline::new(settings());
    line.aggregator.set_kind(MetricId(0), MetricKind::State);
    line.live(100, 1.0);
    line.live(350, 1.0);
    line.live(400, 0.0);
    line.end();
    let details: Vec<_> = line.published.iter().map(|(_, a)| summary(a, 0).unwrap().detail.clone()).collect();
    assert_eq!(details[0], Detail::State { last: 1.0, changes: 0, duration: vec![(1.0, 200.0)] });
    assert_eq!(
        details[1],
        Detail::State { last: 0.0, changes: 1, duration: vec![(0.0, 200.0), (1.0, 100.0)] }
    );
}

#[test]
fn one_reading_ahead_does_not_spoil_the_time_of_a_device_that_is_behind() {
    let mut line = Timeline::new(settings());
    for now in (1800..9000).step_by(60) {
        line.until(now).push(0, 0, now - 1800, 1.0);
        if now == 2400 {
            line.push(0, 0, now + 3000, 1.0);
        }
    }
    line.end();
    // For half an hour the device's watermark stands where the clock was at the odd reading; then all is as it was.
    let after: Vec<Brief> = line.briefs().into_iter().filter(|b| (2700..5400).contains(&b.start)).collect();
    assert_eq!(after.len(), 9);
    assert!(
        after.iter().all(|brief| brief.revision == 0 && brief.late == 0 && brief.count >= 5),
        "{after:?}"
    );
}

#[test]
fn no_more_windows_are_kept_than_allowed_and_those_let_go_stay_closed() {
    let second = Settings { length: secs(1), every: secs(1), correct_for: secs(36_000), ..settings() };
    let mut line = Timeline::new(second);
    let count = i64::try_from(MAX_KEPT_PER_DEVICE).unwrap() + 100;
    for now in 0..count {
        line.live(now, 1.0);
    }
    line.until(count + 20);
    assert_eq!(line.push(0, 0, 99, 1.0), Admission::Late);
    assert_eq!(line.push(0, 0, 100, 1.0), Admission::Admitted);
    line.end();
    assert_eq!((line.last().window, line.last().revision), (window(100, 101), 1));
}
