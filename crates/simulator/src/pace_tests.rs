//! The schedule, without a broker.

use super::*;

const fn load(rate: f64, secs: u64) -> Load {
    Load { rate, duration: Some(Duration::from_secs(secs)) }
}

/// The messages released over time, at most `free` every 5 ms.
fn released(load: Load, free: usize) -> usize {
    let mut pace = Pace::new(load);
    let mut total = 0;
    let mut tick = 0;
    while !pace.over {
        total += pace.due(TICK * tick, free);
        tick += 1;
    }
    total
}

#[test]
fn rate_times_duration_is_released_exactly() {
    for (rate, secs, total) in
        [(1000.0, 3, 3000), (333.0, 7, 2331), (0.5, 10, 5), (0.1, 30, 3), (7000.0, 1, 7000)]
    {
        assert_eq!(released(load(rate, secs), usize::MAX), total, "{rate} for {secs}");
    }
}

#[test]
fn a_late_last_tick_still_releases_what_is_due() {
    let mut pace = Pace::new(load(100.0, 2));
    assert_eq!(pace.due(Duration::from_millis(1500), usize::MAX), 100, "half a second is skipped");
    assert!(!pace.over);
    assert_eq!(pace.due(Duration::from_secs(9), usize::MAX), 50);
    assert!(pace.over);
}

#[test]
fn messages_beyond_the_limit_are_skipped() {
    assert_eq!(released(load(1000.0, 2), 0), 0);
    assert_eq!(released(load(1000.0, 2), 1), 400);
}

#[test]
fn after_a_pause_at_most_a_second_is_caught_up() {
    let mut pace = Pace::new(Load { rate: 100.0, duration: None });
    assert_eq!(pace.due(Duration::from_secs(60), usize::MAX), 100);
    assert_eq!(pace.due(Duration::from_secs(60), usize::MAX), 0);
    assert_eq!(pace.due(Duration::from_secs(61), 30), 30);
    assert_eq!(pace.due(Duration::from_secs(61), 100), 70);
}
