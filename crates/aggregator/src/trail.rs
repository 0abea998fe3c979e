//! The readings of a counter or a state in one window, in the order of their event times, in bounded memory.
//!
//! Both kinds live from neighbours: a counter from how far it went up from one reading to the next, a state from how long a
//! value lasted until the next. `before` is the latest reading known from before the window: what the counter went up
//! since then belongs to this window, and its state holds until the window's first reading.
//!
//! Promise: with up to [`MAX_POINTS`] readings, in any order, the result is exact. Of more, the oldest are
//! folded into sums; and once a window is published, readings in the middle of a rise or of an unchanged state are let go
//! ([`Trail::compact`]). A late reading that falls between readings that are gone counts in avg, min, max, std and count, but does
//! not change delta, changes or duration: right for a counter, unless it was reset just there.

use gateway_core::{Detail, MetricKind, Timestamp, Window};
use serde::{Deserialize, Serialize};

/// Readings kept one by one.
const MAX_POINTS: usize = 64;
/// Distinct values of a state whose durations are reported; time spent in further values is left out.
pub const MAX_STATES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    pub(crate) value: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trail {
    pub(crate) before: Option<Point>,
    /// Ascending by time; readings of one instant in the order they came.
    points: Vec<Point>,
    /// The window's first reading, once it was folded; `folded` goes from there to `points[0]`.
    folded_from: Option<Point>,
    folded: Steps,
}

/// What the steps from reading to reading add up to.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Steps {
    Counter { delta: f64, resets: u32 },
    State { changes: u32, held: Vec<(f64, i64)> },
}

impl Trail {
    /// `None` for a gauge, which needs no neighbours.
    pub(crate) fn new(kind: MetricKind, before: Option<Point>) -> Option<Self> {
        let folded = match kind {
            MetricKind::Gauge => return None,
            MetricKind::Counter => Steps::Counter { delta: 0.0, resets: 0 },
            MetricKind::State => Steps::State { changes: 0, held: Vec::new() },
        };
        Some(Self { before, points: Vec::new(), folded_from: None, folded })
    }

    pub(crate) fn push(&mut self, point: Point) {
        let place = match self.points.last() {
            Some(last) if point.at < last.at => self.points.partition_point(|known| known.at <= point.at),
            _ => self.points.len(),
        };
        match self.folded_from {
            Some(first) if place == 0 => {
                if point.at < first.at {
                    self.folded.step(point, first);
                    self.folded_from = Some(point);
                }
            }
            _ => self.points.insert(place, point),
        }
        if self.points.len() > MAX_POINTS {
            self.fold();
        }
    }

    /// The latest reading before `end`.
    pub(crate) fn latest_before(&self, end: Timestamp) -> Option<Point> {
        let earlier = self.points.partition_point(|point| point.at < end);
        let inside = earlier.checked_sub(1).and_then(|place| self.points.get(place));
        let start = self.folded_from.iter().chain(&self.before).find(|point| point.at < end);
        inside.or(start).copied()
    }

    /// The window's latest reading.
    pub(crate) fn last(&self) -> Option<Point> {
        self.points.last().copied()
    }

    /// What to say of it. A counter's rate is its delta over the time that it was measured across: from the reading before
    /// the window, or the first one, to the last. A state's changes include the one from before the window to its first
    /// reading. What a counter rose after `sealed` is left out: a later window has already reported it.
    pub(crate) fn detail(&self, window: Window, sealed: Option<Timestamp>) -> Detail {
        let mut total = self.folded.clone();
        let before = self.before.map(|point| match total {
            Steps::State { .. } => Point { at: window.start, ..point },
            Steps::Counter { .. } => point,
        });
        let first = self.folded_from.or(self.points.first().copied());
        if let (Some(before), Some(first)) = (before, first)
            && !is_after(first, sealed)
        {
            total.step(before, first);
        }
        for (left, right) in self.points.iter().zip(self.points.iter().skip(1)) {
            if !is_after(*right, sealed) {
                total.step(*left, *right);
            }
        }
        let last = self.last().or(first).map_or(0.0, |point| point.value);
        match total {
            Steps::Counter { delta, resets } => {
                let from = before.or(first);
                let until = self.points.iter().rev().find(|point| !is_after(**point, sealed)).copied();
                let seconds = match (from, until) {
                    (Some(from), Some(until)) => until.at.since(from.at).as_secs_f64(),
                    _ => 0.0,
                };
                let rate = if seconds > 0.0 { delta / seconds } else { 0.0 };
                Detail::Counter { delta, rate: rate.min(f64::MAX), resets }
            }
            Steps::State { changes, mut held } => {
                if let Some(point) = self.last() {
                    hold(&mut held, point.value, window.end.millis_after(point.at));
                }
                held.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                let duration = held.iter().map(|(value, millis)| (*value, *millis as f64 / 1000.0)).collect();
                Detail::State { last, changes, duration }
            }
        }
    }

    /// Lets go of the readings that the result does not need, as [`Self::detail`] gives it for `sealed`.
    pub(crate) fn compact(&mut self, sealed: Option<Timestamp>) {
        let mut kept: Vec<Point> = Vec::with_capacity(2);
        let mut points = self.points.iter().peekable();
        while let Some(point) = points.next() {
            let needed = match (kept.last(), points.peek()) {
                (Some(left), Some(right)) => match self.folded {
                    Steps::Counter { .. } => !(left.value <= point.value && point.value <= right.value),
                    Steps::State { .. } => !(left.value == point.value && point.value == right.value),
                },
                _ => true,
            };
            if needed || sealed == Some(point.at) {
                kept.push(*point);
            }
        }
        self.points = kept;
    }

    fn fold(&mut self) {
        let half = self.points.len() / 2;
        for (left, right) in self.points.iter().zip(self.points.iter().skip(1)).take(half) {
            self.folded.step(*left, *right);
        }
        self.folded_from = self.folded_from.or(self.points.first().copied());
        self.points.drain(..half);
    }
}

impl Steps {
    fn step(&mut self, from: Point, to: Point) {
        match self {
            Self::Counter { delta, resets } => {
                let rise = if to.value >= from.value { to.value - from.value } else { to.value.max(0.0) };
                *delta = (*delta + rise).min(f64::MAX);
                *resets = resets.saturating_add(u32::from(to.value < from.value));
            }
            Self::State { changes, held } => {
                *changes = changes.saturating_add(u32::from(to.value != from.value));
                hold(held, from.value, to.at.millis_after(from.at));
            }
        }
    }
}

fn is_after(point: Point, sealed: Option<Timestamp>) -> bool {
    sealed.is_some_and(|sealed| point.at > sealed)
}

/// Adds to the time that `value` lasted; a duration of zero is not reported.
pub(crate) fn hold<T: std::ops::AddAssign + PartialOrd + Default>(
    held: &mut Vec<(f64, T)>,
    value: f64,
    span: T,
) {
    if span <= T::default() {
        return;
    }
    if let Some((_, total)) = held.iter_mut().find(|(known, _)| *known == value) {
        *total += span;
    } else if held.len() < MAX_STATES {
        held.push((value + 0.0, span)); // + 0.0: minus nought is nought
    }
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
