use proptest::prelude::*;

use super::*;

fn point(at: i64, value: f64) -> Point {
    Point { at: Timestamp::from_millis(at), value }
}

fn window(start: i64, end: i64) -> Window {
    Window { start: Timestamp::from_millis(start), end: Timestamp::from_millis(end) }
}

fn trail(kind: MetricKind, before: Option<Point>, points: &[(i64, f64)]) -> Trail {
    let mut trail = Trail::new(kind, before).unwrap();
    points.iter().for_each(|(at, value)| trail.push(point(*at, *value)));
    trail
}

fn counter(before: Option<Point>, points: &[(i64, f64)]) -> Detail {
    trail(MetricKind::Counter, before, points).detail(window(0, 100_000), None)
}

fn state(before: Option<Point>, points: &[(i64, f64)]) -> Detail {
    trail(MetricKind::State, before, points).detail(window(0, 100_000), None)
}

#[test]
fn a_counter_goes_on_from_before_the_window() {
    let points = [(10_000, 12.0), (40_000, 20.0)];
    assert_eq!(
        counter(Some(point(-10_000, 10.0)), &points),
        Detail::Counter { delta: 10.0, rate: 0.2, resets: 0 }
    );
    assert_eq!(counter(None, &points), Detail::Counter { delta: 8.0, rate: 8.0 / 30.0, resets: 0 });
}

#[test]
fn a_counter_that_starts_again_adds_its_new_value() {
    let points = [(10_000, 90.0), (20_000, 100.0), (30_000, 5.0), (40_000, 7.0)];
    assert_eq!(counter(None, &points), Detail::Counter { delta: 17.0, rate: 17.0 / 30.0, resets: 1 });
}

#[test]
fn a_single_reading_without_a_past_has_not_risen() {
    assert_eq!(counter(None, &[(10_000, 90.0)]), Detail::Counter { delta: 0.0, rate: 0.0, resets: 0 });
}

#[test]
fn what_a_later_window_has_told_is_not_told_again() {
    let trail = trail(MetricKind::Counter, None, &[(10_000, 1.0), (20_000, 2.0), (30_000, 4.0)]);
    let sealed = Some(Timestamp::from_millis(20_000));
    assert_eq!(
        trail.detail(window(0, 100_000), sealed),
        Detail::Counter { delta: 1.0, rate: 0.1, resets: 0 }
    );
}

#[test]
fn a_state_lasts_until_the_next_reading_or_the_end() {
    let points = [(30_000, 1.0), (50_000, 1.0), (60_000, 0.0)];
    let lasted = vec![(0.0, 70.0), (1.0, 30.0)];
    assert_eq!(
        state(Some(point(-500_000, 0.0)), &points),
        Detail::State { last: 0.0, changes: 2, duration: lasted }
    );
    assert_eq!(
        state(None, &points),
        Detail::State { last: 0.0, changes: 1, duration: vec![(0.0, 40.0), (1.0, 30.0)] }
    );
}

#[test]
fn a_state_of_many_values_tells_the_first_thirty_two() {
    let points: Vec<(i64, f64)> = (0..50).map(|n| (n * 1000, n as f64)).collect();
    let Detail::State { last, changes, duration } = state(None, &points) else { panic!() };
    assert_eq!((last, changes, duration.len()), (49.0, 49, MAX_STATES));
}

#[test]
fn memory_stays_bounded() {
    for kind in [MetricKind::Counter, MetricKind::State] {
        let mut long = Trail::new(kind, None).unwrap();
        (0..10_000).for_each(|at| long.push(point(at, (at % 40) as f64)));
        assert!(long.points.len() <= MAX_POINTS);
    }
}

#[test]
fn once_compact_a_steady_rise_is_two_points_and_says_the_same() {
    let points: Vec<(i64, f64)> = (0..60).map(|n| (n * 1000, n as f64)).collect();
    let mut rise = trail(MetricKind::Counter, None, &points);
    let said = rise.detail(window(0, 100_000), None);
    rise.compact(None);
    assert_eq!(rise.points.len(), 2);
    assert_eq!(rise.detail(window(0, 100_000), None), said);
    rise.push(point(30_500, 30.5));
    assert_eq!(
        rise.detail(window(0, 100_000), None),
        said,
        "a late reading in the middle of a rise changes nothing"
    );
}

fn readings() -> impl Strategy<Value = Vec<(i64, f64)>> {
    // Distinct times, so that the order of arrival does not decide who comes first.
    prop::collection::btree_map(0i64..100_000, (0u8..5).prop_map(f64::from), 1..60)
        .prop_map(|known| known.into_iter().collect())
}

proptest! {
    #[test]
    fn order_of_arrival_does_not_matter(points in readings(), seed in any::<u64>(), before in any::<bool>()) {
        let before = before.then(|| point(-1, 2.0));
        let mut shuffled = points.clone();
        shuffled.sort_by_key(|(at, _)| (*at as u64).wrapping_mul(seed | 1));
        for kind in [MetricKind::Counter, MetricKind::State] {
            let ordered = trail(kind, before, &points);
            let mixed = trail(kind, before, &shuffled);
            prop_assert_eq!(ordered.detail(window(0, 100_000), None), mixed.detail(window(0, 100_000), None));
            let mut compact = mixed.clone();
            compact.compact(None);
            prop_assert_eq!(compact.detail(window(0, 100_000), None), mixed.detail(window(0, 100_000), None));
        }
    }

    #[test]
    fn folding_changes_nothing_for_readings_in_order(values in prop::collection::vec(0u8..4, 1..500)) {
        let points: Vec<(i64, f64)> = (0..).step_by(100).zip(values.iter().map(|v| f64::from(*v))).collect();
        let (mut delta, mut resets, mut changes) = (0.0, 0, 0);
        for pair in points.windows(2) {
            let (from, to) = (pair[0].1, pair[1].1);
            delta += if to >= from { to - from } else { to };
            resets += u32::from(to < from);
            changes += u32::from(to != from);
        }
        let Detail::Counter { delta: found, resets: seen, .. } = counter(None, &points) else { panic!() };
        prop_assert_eq!((found, seen), (delta, resets));
        let Detail::State { changes: seen, duration, .. } = state(None, &points) else { panic!() };
        prop_assert_eq!(seen, changes);
        let whole: f64 = duration.iter().map(|(_, seconds)| seconds).sum();
        prop_assert!((whole - 100.0).abs() < 1e-9);
    }
}
