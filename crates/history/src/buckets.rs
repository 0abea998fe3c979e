//! Rows of one series gathered into at most so many points, whose buckets begin at multiples of their length.

use std::collections::BTreeMap;

use gateway_core::Timestamp;

use crate::merge::Merged;
use crate::row::Summary;
use crate::series::Point;

/// Points that are being made; as many as there are buckets with something in them.
#[derive(Debug)]
pub(crate) struct Buckets {
    step: i64,
    points: BTreeMap<i64, Gathered>,
}

#[derive(Debug)]
struct Gathered {
    start: i64,
    end: i64,
    merged: Merged,
}

impl Buckets {
    pub(crate) fn new(step: i64) -> Self {
        Self { step: step.max(1), points: BTreeMap::new() }
    }

    pub(crate) const fn step(&self) -> i64 {
        self.step
    }

    pub(crate) fn add(&mut self, start: i64, end: i64, summary: &Summary) {
        let empty = Gathered { start, end, merged: Merged::EMPTY };
        let gathered = self.points.entry(start.div_euclid(self.step)).or_insert(empty);
        gathered.start = gathered.start.min(start);
        gathered.end = gathered.end.max(end);
        gathered.merged.add(summary);
    }

    /// In order of time; a bucket in which nothing was is missing.
    pub(crate) fn into_points(self) -> Vec<Point> {
        let point = |gathered: Gathered| {
            let summary = gathered.merged.summary()?;
            let (start, end) = (Timestamp::from_millis(gathered.start), Timestamp::from_millis(gathered.end));
            Some(Point { start, end, summary })
        };
        self.points.into_values().filter_map(point).collect()
    }
}

/// The shortest multiple of `unit` with which the time from `from` to `to` touches at most `max_points` buckets, which are two or
/// more.
pub(crate) fn step_for(from: i64, to: i64, unit: i64, max_points: i64) -> i64 {
    let span = to.saturating_sub(from);
    let step = |points: i64| {
        let exact = span / points + i64::from(span % points > 0);
        let units = exact / unit + i64::from(exact % unit > 0);
        units.max(1).saturating_mul(unit)
    };
    let tight = step(max_points);
    let last = to.saturating_sub(1).div_euclid(tight);
    let touched = last.saturating_sub(from.div_euclid(tight)).saturating_add(1);
    // Where the ends lie inside of buckets there is one more.
    if touched <= max_points { tight } else { step(max_points - 1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_of_five_minutes_fits_exactly() {
        assert_eq!(step_for(0, 86_400_000, 300_000, 288), 300_000);
        assert_eq!(step_for(1, 86_400_001, 300_000, 288), 600_000);
    }

    #[test]
    fn the_whole_of_time_has_a_step() {
        assert!(step_for(i64::MIN, i64::MAX, 300_000, 2) > 0);
    }

    proptest! {
        #[test]
        fn there_are_never_more_buckets_than_asked_for(
            from in -1_000_000..1_000_000_i64, span in 1..10_000_000_i64, unit in 1..100_000_i64, max in 2..50_i64
        ) {
            let (to, step) = (from + span, step_for(from, from + span, unit, max));
            prop_assert_eq!(step % unit, 0);
            prop_assert!((to - 1).div_euclid(step) - from.div_euclid(step) < max);
        }
    }
}
