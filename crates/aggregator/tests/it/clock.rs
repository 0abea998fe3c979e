//! What becomes of windows when the clock is set, and when it has never been set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail that way"
)]

use std::collections::BTreeMap;

use crate::support::*;
use aggregator::{Admission, MAX_KEPT_PER_DEVICE, Settings};
use gateway_core::TimeQuality;

/// Seconds at which the clock stands when it was never set.
const BOOT: i64 = -TEN / 1000 + 60;

/// Every reading that was admitted is in the highest revision of exactly one window, and no revision came twice.
#[track_caller]
fn assert_each_reading_came_out_once(line: &mut Timeline) {
    line.end();
    let mut highest = BTreeMap::new();
    for (_, aggregate) in &line.published {
        let revisions: &mut Vec<(u32, u64)> =
            highest.entry((aggregate.subject, aggregate.window)).or_default();
        assert_eq!(aggregate.revision as usize, revisions.len(), "{aggregate:?}");
        revisions.push((aggregate.revision, summary(aggregate, 0).unwrap().count));
    }
    let counted: u64 = highest.values().map(|revisions| revisions.last().unwrap().1).sum();
    assert_eq!(counted, line.admitted);
}

fn minute_by_minute(line: &mut Timeline, from: i64, to: i64) {
    for now in (from..to).step_by(60) {
        assert_eq!(line.live(now, 1.0), Admission::Admitted, "{now}");
    }
}

#[test]
fn an_hour_back_in_mid_window() {
    let mut line = Timeline::new(settings());
    minute_by_minute(&mut line, 0, 7320);
    line.until(7320);
    line.step_clock(7320 - 3600);
    minute_by_minute(&mut line, 3720, 11_000);
    // The window that was open kept the 3:10 it had still to wait.
    let open = line.published.iter().find(|(_, a)| a.window.start == at(7200)).unwrap();
    assert_eq!((open.0, open.1.time_quality), (3900 + 10, TimeQuality::Stepped));
    // The hour that came twice is corrected as it comes again: once per window, not once per reading.
    let again = line
        .briefs()
        .into_iter()
        .filter(|brief| brief.start == 4200)
        .map(|brief| (brief.revision, brief.count));
    assert_eq!(again.collect::<Vec<_>>(), [(0, 5), (1, 10)]);
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn three_hours_back_what_was_forgotten_stays_closed() {
    let mut line = Timeline::new(settings());
    minute_by_minute(&mut line, 0, 3 * 3600);
    line.step_clock(0);
    assert_eq!(line.live(10, 1.0), Admission::Late);
    for now in (60..6 * 3600).step_by(60) {
        line.live(now, 1.0);
    }
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn an_hour_forward_in_mid_window() {
    let mut line = Timeline::new(settings());
    minute_by_minute(&mut line, 0, 420);
    line.step_clock(420 + 3600);
    line.until(line.now);
    let last = line.briefs().pop().unwrap();
    assert_eq!((last.start, last.count, last.published), (300, 2, 4020), "due at once");
    assert_eq!(line.last().time_quality, TimeQuality::Stepped);
    minute_by_minute(&mut line, 4020, 6000);
    assert_eq!(line.last().time_quality, TimeQuality::Synced);
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn from_1970_at_boot_to_the_present() {
    let mut line = Timeline::new(settings());
    line.now = BOOT;
    minute_by_minute(&mut line, BOOT, BOOT + 700);
    assert!(
        line.published.iter().all(|(_, a)| a.time_quality == TimeQuality::Unsynced)
            && line.published.len() == 2
    );
    line.step_clock(0);
    line.until(0);
    assert_eq!((line.published.len(), line.last().time_quality), (3, TimeQuality::Unsynced));
    minute_by_minute(&mut line, 0, 700);
    assert_eq!(line.last().time_quality, TimeQuality::Synced);
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn while_the_clock_is_unset_devices_that_know_the_time_are_believed() {
    let mut line = Timeline::new(settings());
    line.now = BOOT;
    for minute in 0..12 {
        line.until(BOOT + minute * 60);
        assert_eq!(line.push(0, 0, minute * 60, 1.0), Admission::Admitted);
    }
    line.until(line.now);
    let briefs: Vec<_> =
        line.briefs().iter().map(|b| (b.published - BOOT, b.start, b.count, b.late)).collect();
    assert_eq!(briefs, [(360, 0, 5, 0), (660, 300, 5, 0)], "its windows close by its watermark");
    line.until(BOOT + 800);
    line.step_clock(800);
    minute_by_minute(&mut line, 800, 1500);
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn a_clock_that_was_years_ahead_leaves_nothing_behind() {
    let mut line = Timeline::new(settings());
    let ten_years = 10 * 365 * 86_400;
    line.now = ten_years;
    minute_by_minute(&mut line, ten_years, ten_years + 9000);
    line.step_clock(0);
    minute_by_minute(&mut line, 0, 9000);
    assert_eq!(line.push(0, 0, line.now - 1200, 1.0), Admission::Admitted, "corrections still work");
    let open = line.published.iter().filter(|(_, a)| a.window.start > at(ten_years - 600)).count();
    assert_eq!(open, 9000 / 300, "what was open is published soon, not in ten years");
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn a_forgotten_window_is_never_opened_again() {
    let short = Settings { correct_for: secs(600), ..settings() };
    let mut line = Timeline::new(short.clone());
    minute_by_minute(&mut line, 0, 3600);
    line.aggregator.reconfigure(Settings { correct_for: secs(36_000), ..short.clone() });
    assert_eq!(line.push(0, 0, 100, 1.0), Admission::Late, "not even if more is allowed now");
    line.aggregator.reconfigure(Settings { length: secs(600), every: secs(600), ..short.clone() });
    line.until(3700).push(0, 0, 3650, 1.0);
    line.aggregator.reconfigure(Settings { correct_for: secs(36_000), ..short });
    line.step_clock(200);
    assert_eq!(line.push(0, 0, 100, 1.0), Admission::Late);
    assert_each_reading_came_out_once(&mut line);
}

#[test]
fn windows_kept_from_a_clock_years_ahead_make_room_for_those_of_today() {
    let second = Settings { length: secs(1), every: secs(1), correct_for: secs(36_000), ..settings() };
    let mut line = Timeline::new(second);
    let ten_years = 10 * 365 * 86_400;
    line.now = ten_years;
    for now in ten_years..ten_years + i64::try_from(MAX_KEPT_PER_DEVICE).unwrap() {
        line.live(now, 1.0);
    }
    line.until(line.now + 20);
    line.step_clock(0);
    for now in 0..60 {
        line.live(now, 1.0);
    }
    assert_eq!(line.push(0, 0, 10, 1.0), Admission::Admitted);
    line.until(80);
    let corrected = line.published.iter().any(|(_, a)| a.window == window(10, 11) && a.revision == 1);
    assert!(corrected, "today's windows were kept for corrections");
    assert_each_reading_came_out_once(&mut line);
}
