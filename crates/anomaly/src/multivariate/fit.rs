//! Fits a model to a device's history: tries PCA and Gaussian mixtures of linfa, and chooses the one with the highest
//! likelihood of held-out windows; of nearly equal ones the simplest.
//!
//! The newest quarter of the windows is held out. All candidates are fitted to the rest, without the half per cent of the
//! most unlikely windows. The best one is fitted again to all windows. The same history always gives the same model.

use super::columns::{Columns, LeftOut};
use super::gaussian::Gaussian;
use super::model::{Calibration, MAX_COMPONENTS, Metric, Model, Shape};
use super::sample::Sample;
use super::tail::{Tail, number, quantile};
use super::windows::Windows;

/// Fewest windows that a model is fitted on.
pub const MIN_WINDOWS: usize = 200;
/// Most Gaussians that are tried; most components of a PCA.
const MIXTURES: u8 = 6;
/// A mixture needs this many windows for each of its numbers.
const WINDOWS_PER_NUMBER: usize = 5;
/// By how much, in nats a window, a candidate must be likelier than a simpler one: less is chance.
const WORTH: f64 = 0.02;
/// The share of the training windows that is taken as outliers, and of the held-out ones that has no say.
const OUTLIERS: f64 = 0.005;

/// A fitted model and the candidates tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// Windows it was fitted on.
    pub windows: usize,
    /// The tried candidates, in order.
    pub candidates: Vec<Candidate>,
    /// The metrics that are not in it.
    pub left_out: Vec<(Box<str>, LeftOut)>,
}

/// A tried candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The shape.
    pub shape: Shape,
    /// Mean ln likelihood of a held-out window in nats; none where it could not be fitted.
    pub likelihood: Option<f64>,
}

/// No model could be made.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Too few windows have all the metrics.
    #[error("{found} windows with all of its metrics are too few: a model needs {MIN_WINDOWS}")]
    TooFewWindows {
        /// How many there are.
        found: usize,
    },
    /// Fewer than two metrics that change.
    #[error("a model needs two metrics that vary, this device has {}{}", if *found == 0 { "none" } else { "one" }, list(left_out))]
    TooFewMetrics {
        /// How many there are.
        found: usize,
        /// The others.
        left_out: Vec<(Box<str>, LeftOut)>,
    },
    /// A metric that changed in the newest quarter of the history only.
    #[error("{metric} has begun to vary only lately; try again in some days")]
    NewlyVarying {
        /// Its name.
        metric: Box<str>,
    },
    /// No candidate could be fitted.
    #[error("neither PCA nor a mixture could be fitted; the values may be degenerate")]
    NothingFits,
}

fn list(left_out: &[(Box<str>, LeftOut)]) -> String {
    let each: Vec<String> = left_out.iter().map(|(name, why)| format!("{name} is {why}")).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}

/// Fits a model. `progress` is called with each tried candidate, for example to show it or to pause.
///
/// # Errors
/// There are too few windows or metrics, or no candidate could be fitted.
pub fn fit(windows: Windows, mut progress: impl FnMut(&Candidate)) -> Result<Fitted, FitError> {
    let per_year = windows.per_year();
    let columns = Columns::of(&windows.table());
    if columns.names.len() < 2 {
        return Err(FitError::TooFewMetrics { found: columns.names.len(), left_out: columns.left_out });
    }
    let found = columns.rows.len();
    if found < MIN_WINDOWS {
        return Err(FitError::TooFewWindows { found });
    }
    let training = found - found / 4;
    let metrics = columns.metrics(training).map_err(|metric| FitError::NewlyVarying { metric })?;
    let rows: Vec<Vec<f64>> = columns.rows.iter().map(|row| scaled(&metrics, row)).collect();
    let (training, held_out) = rows.split_at(training);

    let training = Sample::of(&without_outliers(training));
    let mut candidates = Vec::new();
    let mut best: Option<(f64, Model)> = None;
    for shape in shapes(metrics.len(), training.len()) {
        let model = training.fit(shape).map(|gaussians| bare(&metrics, shape, gaussians));
        let likelihood = model.as_ref().and_then(|model| likelihood(model, held_out));
        if let (Some(model), Some(likelihood)) = (model, likelihood)
            && best.as_ref().is_none_or(|(known, _)| likelihood > *known + WORTH)
        {
            best = Some((likelihood, model));
        }
        candidates.push(Candidate { shape, likelihood });
        candidates.last().into_iter().for_each(&mut progress);
    }
    let (_, picked) = best.ok_or(FitError::NothingFits)?;
    let model = calibrated(&picked, &rows, held_out, per_year).ok_or(FitError::NothingFits)?;
    Ok(Fitted { model, windows: found, candidates, left_out: columns.left_out })
}

/// Everything that is tried for `metrics` metrics and `windows` windows.
fn shapes(metrics: usize, windows: usize) -> Vec<Shape> {
    let components = u8::try_from((metrics - 1).min(MAX_COMPONENTS)).unwrap_or(1);
    let numbers = (metrics + 1) * (metrics + 2) / 2;
    let affordable = u8::try_from(windows / (numbers * WINDOWS_PER_NUMBER)).unwrap_or(u8::MAX);
    let mixtures = affordable.clamp(1, MIXTURES);
    (1..=components).map(Shape::Pca).chain((1..=mixtures).map(Shape::Mixture)).collect()
}

fn scaled(metrics: &[Metric], row: &[f64]) -> Vec<f64> {
    metrics.iter().zip(row).map(|(metric, value)| metric.scale(*value)).collect()
}

/// A model that is not yet calibrated.
fn bare(metrics: &[Metric], shape: Shape, gaussians: Vec<Gaussian>) -> Model {
    let calibration = Calibration { ordinary: 0.0, limit: 1.0 };
    Model { metrics: metrics.to_vec(), shape, gaussians, calibration }
}

/// All but the windows that are the least likely under one Gaussian.
fn without_outliers(rows: &[Vec<f64>]) -> Vec<&[f64]> {
    let all: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let Some(gaussians) = Sample::of(&all).fit(Shape::Mixture(1)) else { return all };
    let model = bare(&[], Shape::Mixture(1), gaussians);
    let surprises: Vec<f64> = rows.iter().map(|row| model.surprise(row).unwrap_or(f64::INFINITY)).collect();
    let mut sorted = surprises.clone();
    sorted.sort_by(f64::total_cmp);
    let most = quantile(&sorted, 1.0 - OUTLIERS).unwrap_or(f64::INFINITY);
    all.into_iter().zip(surprises).filter(|(_, surprise)| *surprise <= most).map(|(row, _)| row).collect()
}

/// Mean ln likelihood of a window, the least likely ones left out.
fn likelihood(model: &Model, rows: &[Vec<f64>]) -> Option<f64> {
    let mut surprises: Vec<f64> =
        rows.iter().map(|row| model.surprise(row).unwrap_or(f64::INFINITY)).collect();
    surprises.sort_by(f64::total_cmp);
    let most = quantile(&surprises, 1.0 - OUTLIERS)?;
    surprises.retain(|surprise| *surprise <= most);
    let mean = -surprises.iter().sum::<f64>() / number(surprises.len());
    mean.is_finite().then_some(mean)
}

/// The picked model, fitted to everything and calibrated by what was held out from it.
fn calibrated(picked: &Model, rows: &[Vec<f64>], held_out: &[Vec<f64>], per_year: f64) -> Option<Model> {
    let surprise_of = |model: &Model, row: &Vec<f64>| model.surprise(row).unwrap_or(f64::INFINITY);
    let surprises: Vec<f64> = held_out.iter().map(|row| surprise_of(picked, row)).collect();
    let tail = Tail::of(surprises.clone(), per_year)?;
    let usual: Vec<&[f64]> =
        rows.iter().filter(|row| !tail.is_incident(surprise_of(picked, row))).map(Vec::as_slice).collect();
    let again = Sample::of(&usual).fit(picked.shape);
    let mut model = again
        .map(|gaussians| Model { gaussians, ..picked.clone() })
        .filter(Model::is_sound)
        .unwrap_or_else(|| picked.clone());
    let history = rows.iter().map(|row| surprise_of(&model, row)).chain(surprises);
    model.calibration = tail.calibration(history);
    for (index, metric) in model.metrics.iter_mut().enumerate() {
        let values =
            || usual.iter().filter_map(|row| row.get(index)).map(|v| metric.middle + v * metric.spread);
        let (lowest, highest) =
            (values().fold(metric.lowest, f64::min), values().fold(metric.highest, f64::max));
        (metric.lowest, metric.highest) = (lowest, highest);
    }
    model.is_sound().then_some(model)
}
