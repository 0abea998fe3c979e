//! One metric in one window: gathers readings and gives their summary.

use gateway_core::{Detail, MetricId, MetricKind, Summary, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::sketch::Sketch;
use crate::stats::Stats;
use crate::trail::{Point, Trail, hold};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) metric: MetricId,
    stats: Stats,
    /// Earliest and latest reading by event time; of one instant the one that came first, and last.
    first: Point,
    last: Point,
    sketch: Option<Box<Sketch>>,
    /// For all kinds but gauges.
    pub(crate) trail: Option<Box<Trail>>,
}

impl Slot {
    /// An empty slot whose first reading will be `point`.
    pub(crate) fn new(
        metric: MetricId,
        kind: MetricKind,
        point: Point,
        before: Option<Point>,
        sketch: bool,
    ) -> Self {
        Self {
            metric,
            stats: Stats::EMPTY,
            first: point,
            last: point,
            sketch: sketch.then(|| Box::new(Sketch::new())),
            trail: Trail::new(kind, before).map(Box::new),
        }
    }

    pub(crate) fn push(&mut self, point: Point) {
        self.stats.push(point.value);
        if point.at < self.first.at {
            self.first = point;
        }
        if point.at >= self.last.at {
            self.last = point;
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.push(point.value);
        }
        if let Some(trail) = &mut self.trail {
            trail.push(point);
        }
    }

    /// The part of the summary that its kind has; `sealed` as in [`Trail::detail`].
    pub(crate) fn detail(&self, window: Window, sealed: Option<Timestamp>) -> Detail {
        match &self.trail {
            Some(trail) => trail.detail(window, sealed),
            None => Detail::Gauge { first: self.first.value, last: self.last.value },
        }
    }

    pub(crate) fn summary(&self, detail: Detail, percents: &[f64]) -> Summary {
        summarise(&self.stats, self.sketch.as_deref(), detail, percents)
    }

    /// What the device's zone needs to know of it.
    pub(crate) fn part(&self, detail: Detail) -> Part {
        Part {
            metric: self.metric,
            stats: self.stats,
            sketch: self.sketch.clone(),
            first_at: self.first.at,
            last_at: self.last.at,
            detail,
        }
    }
}

/// One metric of one device as its zone sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) metric: MetricId,
    stats: Stats,
    sketch: Option<Box<Sketch>>,
    first_at: Timestamp,
    last_at: Timestamp,
    detail: Detail,
}

impl Part {
    /// Takes in another device's part of the same metric: counters and states add up; first and last are the earliest and
    /// latest of all; where the two are of different kinds, ours stays.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.stats.merge(&other.stats);
        if let (Some(ours), Some(theirs)) = (&mut self.sketch, &other.sketch) {
            ours.merge(theirs);
        }
        let (earlier, later) = (other.first_at < self.first_at, other.last_at > self.last_at);
        match (&mut self.detail, &other.detail) {
            (Detail::Gauge { first, last }, Detail::Gauge { first: their_first, last: their_last }) => {
                *first = if earlier { *their_first } else { *first };
                *last = if later { *their_last } else { *last };
            }
            (
                Detail::Counter { delta, rate, resets },
                Detail::Counter { delta: their_delta, rate: their_rate, resets: their_resets },
            ) => {
                *delta = (*delta + their_delta).min(f64::MAX);
                *rate = (*rate + their_rate).min(f64::MAX);
                *resets = resets.saturating_add(*their_resets);
            }
            (
                Detail::State { last, changes, duration },
                Detail::State { last: their_last, changes: their_changes, duration: their_duration },
            ) => {
                *last = if later { *their_last } else { *last };
                *changes = changes.saturating_add(*their_changes);
                their_duration.iter().for_each(|(value, seconds)| hold(duration, *value, *seconds));
                duration.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            }
            _ => {}
        }
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }

    pub(crate) fn summary(self, percents: &[f64]) -> Summary {
        summarise(&self.stats, self.sketch.as_deref(), self.detail, percents)
    }
}

fn summarise(stats: &Stats, sketch: Option<&Sketch>, detail: Detail, percents: &[f64]) -> Summary {
    Summary {
        avg: stats.avg(),
        min: stats.min,
        max: stats.max,
        std: stats.std(),
        count: stats.count,
        percentiles: sketch
            .map_or_else(Vec::new, |sketch| sketch.percentiles(percents, stats.min, stats.max)),
        detail,
    }
}
