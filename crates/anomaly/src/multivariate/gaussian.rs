//! One Gaussian of a model: the likelihood of a window with any of its metrics, and the expected value of each metric.
//!
//! It cannot panic, also for damaged files. An invalid covariance has no likelihood.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// A weighted Gaussian over scaled metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Gaussian {
    /// Its share of all windows, 0..1.
    pub(super) weight: f64,
    pub(super) mean: Vec<f64>,
    /// Lower triangle of the covariance, row by row: row `i` has `i + 1` numbers.
    pub(super) covariance: Vec<Vec<f64>>,
}

/// A Gaussian of the metrics that a window has, and how far the window is from its middle.
pub(super) struct Fit {
    factor: Cholesky,
    /// The distance from the mean, whitened.
    whitened: Vec<f64>,
    /// ln of weight × density.
    pub(super) log_likelihood: f64,
}

impl Gaussian {
    /// The window's values `scaled` of the metrics `present` (indices, ascending); none where the covariance is none.
    pub(super) fn see(&self, present: &[usize], scaled: &[f64]) -> Option<Fit> {
        let factor = self.factor(present)?;
        let distance: Vec<f64> = present
            .iter()
            .zip(scaled)
            .map(|(index, value)| value - self.mean.get(*index).unwrap_or(&f64::NAN))
            .collect();
        let whitened = factor.forward(&distance);
        let squared = dot(&whitened, &whitened);
        let log_likelihood =
            self.weight.ln() - 0.5 * (count(present.len()) * TAU.ln() + factor.log_determinant() + squared);
        log_likelihood.is_finite().then_some(Fit { factor, whitened, log_likelihood })
    }

    /// What the metrics that are not `present` would add to −ln likelihood on average, given those that are.
    pub(super) fn entropy_of_others(&self, present: &[usize], seen: &Fit) -> f64 {
        let others = self.mean.len().saturating_sub(present.len());
        if others == 0 {
            return 0.0;
        }
        let all: Vec<usize> = (0..self.mean.len()).collect();
        let whole = self.factor(&all).map_or(0.0, |factor| factor.log_determinant());
        0.5 * (whole - seen.factor.log_determinant() + count(others) * (1.0 + TAU.ln()))
    }

    /// Whether it is a Gaussian of `metrics` metrics.
    pub(super) fn is_sound(&self, metrics: usize) -> bool {
        let all: Vec<usize> = (0..metrics).collect();
        self.mean.len() == metrics
            && self.covariance.len() == metrics
            && self.covariance.iter().zip(1..).all(|(row, length)| row.len() == length)
            && self.weight > 0.0
            && self.weight <= 1.0
            && self.see(&all, &vec![0.0; metrics]).is_some()
    }

    fn factor(&self, indices: &[usize]) -> Option<Cholesky> {
        Cholesky::of(indices, |row, column| Some(*self.covariance.get(row)?.get(column)?))
    }
}

impl Fit {
    /// For each metric that the window has: how many standard deviations it is from what the others lead to expect
    /// (signed), and that standard deviation.
    pub(super) fn conditional(&self) -> Vec<(f64, f64)> {
        let pull = self.factor.backward(&self.whitened);
        let size = pull.len();
        pull.iter()
            .enumerate()
            .map(|(index, pull)| {
                let unit: Vec<f64> = (0..size).map(|other| f64::from(u8::from(other == index))).collect();
                let column = self.factor.forward(&unit);
                let deviation = dot(&column, &column).sqrt().recip();
                (pull * deviation, deviation)
            })
            .collect()
    }
}

/// The lower triangle L of a covariance L·Lᵀ.
struct Cholesky(Vec<Vec<f64>>);

impl Cholesky {
    /// Of the rows and columns `indices` (ascending) of a covariance; `at` gives its lower triangle.
    fn of(indices: &[usize], at: impl Fn(usize, usize) -> Option<f64>) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(indices.len());
        for index in indices {
            let mut row = Vec::with_capacity(rows.len() + 1);
            for (above, other) in rows.iter().zip(indices) {
                row.push((at(*index, *other)? - dot(&row, above)) / above.last()?);
            }
            let rest = at(*index, *index)? - dot(&row, &row);
            if !rest.is_finite() || rest <= f64::MIN_POSITIVE {
                return None;
            }
            row.push(rest.sqrt());
            rows.push(row);
        }
        Some(Self(rows))
    }

    fn log_determinant(&self) -> f64 {
        self.0.iter().filter_map(|row| row.last()).map(|pivot| 2.0 * pivot.ln()).sum()
    }

    /// L⁻¹·`right`.
    fn forward(&self, right: &[f64]) -> Vec<f64> {
        let mut solved = Vec::with_capacity(right.len());
        for (row, value) in self.0.iter().zip(right) {
            let pivot = row.last().unwrap_or(&1.0);
            solved.push((value - dot(row, &solved)) / pivot);
        }
        solved
    }

    /// L⁻ᵀ·`right`.
    fn backward(&self, right: &[f64]) -> Vec<f64> {
        let mut left = right.to_vec();
        let mut solved = Vec::with_capacity(right.len());
        for row in self.0.iter().rev() {
            let (Some(value), Some((pivot, before))) = (left.pop(), row.split_last()) else { break };
            let value = value / pivot;
            left.iter_mut().zip(before).for_each(|(left, factor)| *left -= factor * value);
            solved.push(value);
        }
        solved.reverse();
        solved
    }
}

/// Of as many as the shorter one has.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
