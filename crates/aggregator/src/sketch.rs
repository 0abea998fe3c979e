//! Percentiles in bounded memory, mergeable: a t-digest (Dunning and Ertl, "Computing extremely accurate quantiles using
//! t-digests", arXiv:1902.04023), in the merging form with a limit on each centroid's weight.
//!
//! Values near each other are gathered into centroids: few values in each at the ends, up to [`WIDEST`] of all in the middle.
//! The error is one of rank, so neither the offset nor the scale of the values matters: see [`ACCURACY`]. Percentiles of up to
//! [`EXACT`] values are exact, which is what most windows hold, and so are those of up to [`ENOUGH`] different values, however
//! often each comes, unless more had been merged before. Smallest and largest value are always exact. Between two ranks the
//! percentile is interpolated, as numpy does by default.
//!
//! It takes 2 to 2.5 KB at most, as measured. The same calls in the same order give the same percentiles.

use serde::{Deserialize, Serialize};

/// Usual error of a percentile of many values, in ranks, as a share of all: with 0.01, `p50` lies between the exact `p49` and
/// `p51`; below the 5th and above the 95th it is half of that. So measured over smooth, lumpy and sorted values, merged and not.
/// Where clusters of values lie apart by very different powers of ten it is
/// nearly always within twice that; there is no proven bound.
pub const ACCURACY: f64 = 0.01;
/// So many values are kept one by one before they are gathered.
const EXACT: usize = 64;
/// Up to so many centroids nothing is joined but equal values.
const ENOUGH: usize = 96;
/// Most that a centroid holds of all values. Half of it may lie on either side of a mean, and the next centroid may add its half.
const WIDEST: f64 = 0.016;
/// How fast centroids may widen from the ends, where they hold one value: of all values at most this times sqrt(q (1 - q)), q being
/// the share of values before them (the paper's k1, with 2 pi / delta for this).
const WIDENING: f64 = 0.06;
/// Nothing is joined across this part of the distance from the smallest to the largest value, so that no mean comes to stand
/// between two modes; there are fewer such gaps than this.
const GAPS: f64 = 16.0;

/// The values of one metric in one window.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Sketch {
    /// By mean. The first and the last are alike.
    centroids: Vec<Centroid>,
    /// Not gathered yet, in the order they came; at most [`EXACT`].
    fresh: Vec<f64>,
}

/// Values near each other.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Centroid {
    mean: f64,
    /// How many values.
    weight: u32,
    /// All of them equal: sensors speak in steps, and of equal values nothing is lost however many there are.
    alike: bool,
}

/// A value at its place among all in order, counted from 0.
struct Point {
    rank: f64,
    value: f64,
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch of {} centroids and {} values", self.centroids.len(), self.fresh.len())
    }
}

impl Sketch {
    pub(crate) const fn new() -> Self {
        Self { centroids: Vec::new(), fresh: Vec::new() }
    }

    pub(crate) fn push(&mut self, value: f64) {
        if self.fresh.len() >= EXACT {
            self.gather(&[]);
        }
        self.fresh.push(value);
    }

    /// Takes in the values that `other` has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        if !other.centroids.is_empty() {
            self.gather(&other.centroids);
        }
        other.fresh.iter().for_each(|value| self.push(*value));
    }

    /// The values at each of `percents` (0..=100), within `min..=max`; nothing of nothing.
    pub(crate) fn percentiles(&self, percents: &[f64], min: f64, max: f64) -> Vec<(f64, f64)> {
        let points = self.points();
        let last = points.last().map_or(0.0, |point| point.rank);
        percents
            .iter()
            .filter_map(|percent| {
                let value = value_at(&points, percent / 100.0 * last)?;
                Some((*percent, value.max(min).min(max)))
            })
            .collect()
    }

    /// Everything in order. Values that are alike keep all their ranks; other means stand at the middle of theirs.
    fn points(&self) -> Vec<Point> {
        let mut all: Vec<Centroid> = self.fresh.iter().copied().map(Centroid::of).collect();
        all.extend_from_slice(&self.centroids);
        all.sort_unstable_by(Centroid::order);
        let mut before = 0.0;
        all.iter()
            .flat_map(|centroid| {
                let weight = f64::from(centroid.weight);
                let (first, last) = (before, before + weight - 1.0);
                before += weight;
                let middle = f64::midpoint(first, last);
                let ranks = if centroid.alike { [first, last] } else { [middle, middle] };
                ranks.map(|rank| Point { rank, value: centroid.mean })
            })
            .collect()
    }

    /// Takes `others` and the fresh values among our centroids and joins neighbours: those that are alike, and the rest as far as
    /// their place allows, if they are too many.
    fn gather(&mut self, others: &[Centroid]) {
        let all = &mut self.centroids;
        all.extend(self.fresh.drain(..).map(Centroid::of));
        all.extend_from_slice(others);
        all.sort_unstable_by(Centroid::order);
        all.dedup_by(|next, kept| {
            let joined = kept.joined(next);
            if joined.alike {
                *kept = joined;
            }
            joined.alike
        });
        if all.len() > ENOUGH {
            join_neighbours(all);
        }
        all.shrink_to_fit();
    }
}

/// `all` by mean.
fn join_neighbours(all: &mut Vec<Centroid>) {
    let total = all.iter().map(|centroid| f64::from(centroid.weight)).sum();
    let (Some(lowest), Some(highest)) = (all.first(), all.last()) else { return };
    let gap = (highest.mean / 2.0 - lowest.mean / 2.0) / GAPS;
    let mut before = 0.0;
    all.dedup_by(|next, kept| {
        let joined = kept.joined(next);
        let weight = f64::from(joined.weight);
        let apart = next.mean / 2.0 - kept.mean / 2.0 > gap;
        let fits = !apart && weight <= most(before, before + weight, total);
        if fits {
            *kept = joined;
        } else {
            before += f64::from(kept.weight);
        }
        fits
    });
}

impl Centroid {
    const fn of(value: f64) -> Self {
        Self { mean: value, weight: 1, alike: true }
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by_mean = self.mean.total_cmp(&other.mean);
        by_mean.then(self.alike.cmp(&other.alike)).then(self.weight.cmp(&other.weight))
    }

    /// Both in one; `higher` has the higher mean. Kept between the two, so that rounding cannot put means out of order.
    fn joined(&self, higher: &Self) -> Self {
        let weight = self.weight.saturating_add(higher.weight);
        let part = f64::from(higher.weight) / f64::from(weight);
        let alike = self.alike && higher.alike && self.mean == higher.mean;
        Self { mean: between(self.mean, higher.mean, part), weight, alike }
    }
}

/// Most values of a centroid that holds the ranks from `first` up to `end` of `total`: none at either end, so that smallest and
/// largest value stay alone.
fn most(first: f64, end: f64, total: f64) -> f64 {
    let widening = |rank: f64| WIDENING * (rank * (total - rank)).sqrt();
    (WIDEST * total).min(widening(first)).min(widening(end))
}

fn value_at(points: &[Point], rank: f64) -> Option<f64> {
    let next = points.partition_point(|point| point.rank <= rank);
    let below = points.get(next.checked_sub(1)?)?;
    let Some(above) = points.get(next) else { return Some(below.value) };
    let part = (rank - below.rank) / (above.rank - below.rank);
    Some(between(below.value, above.value, part))
}

/// From `low` (`part` 0) to `high` (`part` 1), never falling as `part` grows. By halves, because the difference of two huge numbers
/// overflows.
fn between(low: f64, high: f64, part: f64) -> f64 {
    let half = (high / 2.0 - low / 2.0) * part;
    (low + half + half).max(low).min(high)
}

#[cfg(test)]
#[path = "sketch_tests.rs"]
mod tests;
