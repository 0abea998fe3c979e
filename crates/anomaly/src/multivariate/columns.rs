//! Chooses the metrics of a history for a model, and scales them.

use super::model::{MAX_METRICS, Metric};
use super::tail::{number, quantile};
use super::windows::Table;

/// A metric that fewer windows have than this share is left out.
const OFTEN: f64 = 0.8;
/// The share of values at either end that has no say in the scale.
const OUTLYING: f64 = 0.005;

/// The reason to leave a metric out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It hardly ever changes.
    Constant,
    /// It never falls: a counter.
    Counter,
    /// Too many windows do not have it.
    Seldom,
    /// There are enough without it.
    TooMany,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Counter => "a counter",
            Self::Seldom => "missing in many windows",
            Self::TooMany => "one too many",
        })
    }
}

/// The metrics of a history that a model is made of, in order of their names, and the windows that have them all.
pub(super) struct Columns {
    pub(super) names: Vec<Box<str>>,
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) left_out: Vec<(Box<str>, LeftOut)>,
}

impl Columns {
    pub(super) fn of(table: &Table) -> Self {
        let mut order: Vec<(usize, &Box<str>)> = table.names.iter().enumerate().collect();
        order.sort_by_key(|(_, name)| *name);
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for (index, name) in order {
            let too_many = (kept.len() >= MAX_METRICS).then_some(LeftOut::TooMany);
            match too_many.or_else(|| unfit(&column(&table.rows, index), table.rows.len())) {
                Some(why) => left_out.push((name.clone(), why)),
                None => kept.push(index),
            }
        }
        let whole = |row: &Vec<f64>| -> Option<Vec<f64>> {
            kept.iter().map(|index| row.get(*index).copied().filter(|value| value.is_finite())).collect()
        };
        Self {
            names: kept.iter().filter_map(|index| table.names.get(*index).cloned()).collect(),
            rows: table.rows.iter().filter_map(whole).collect(),
            left_out,
        }
    }

    /// The scale of each metric in the first `training` windows; `None` if one did not change in them.
    pub(super) fn metrics(&self, training: usize) -> Result<Vec<Metric>, Box<str>> {
        let training = self.rows.get(..training).unwrap_or(&self.rows);
        let names = self.names.iter().enumerate();
        names.map(|(index, name)| scale(name, column(training, index)).ok_or_else(|| name.clone())).collect()
    }
}

fn column(rows: &[Vec<f64>], index: usize) -> Vec<f64> {
    rows.iter().filter_map(|row| row.get(index).copied()).filter(|value| value.is_finite()).collect()
}

fn unfit(values: &[f64], windows: usize) -> Option<LeftOut> {
    let steps = || values.iter().zip(values.iter().skip(1));
    if number(values.len()) < OFTEN * number(windows) {
        Some(LeftOut::Seldom)
    } else if scale("", values.to_vec()).is_none() {
        Some(LeftOut::Constant)
    } else if steps().all(|(before, after)| before <= after) {
        Some(LeftOut::Counter)
    } else {
        None
    }
}

/// Middle and spread of values with the outlying ones drawn in; none where they hardly change.
fn scale(name: &str, values: Vec<f64>) -> Option<Metric> {
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&sorted, OUTLYING)?, quantile(&sorted, 1.0 - OUTLYING)?);
    let count = number(sorted.len());
    let drawn_in = || sorted.iter().map(|value| value.clamp(low, high));
    let middle = drawn_in().map(|value| value / count).sum::<f64>();
    let variance = drawn_in().map(|value| (value - middle).powi(2) / count).sum::<f64>();
    let spread = variance.sqrt();
    let changes = spread.is_finite() && spread > middle.abs() * 1e-9 && spread > 1e-150;
    changes.then(|| Metric { name: name.into(), middle, spread, lowest: low, highest: high })
}
