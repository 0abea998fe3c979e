//! The model of a device's metrics, and the score of a window.
//!
//! A model is a few Gaussians over scaled averages. A PCA model is a single Gaussian, that of probabilistic PCA (Tipping and
//! Bishop, 1999): wide along the components and narrow across them, so that values that the components cannot reconstruct
//! are unlikely. So both kinds are scored, compared and calibrated in the same way.
//!
//! A window is scored by its surprise, −ln likelihood. It is not scored if one value alone is out of its range, because the
//! detectors of that series report it.

use serde::{Deserialize, Serialize};

use super::gaussian::{Fit, Gaussian};

/// Most metrics a model has.
pub const MAX_METRICS: usize = 32;
/// Most Gaussians of a mixture.
pub const MAX_COMPONENTS: usize = 8;
/// How far beyond the range seen in training a value still counts as inside it, in parts of the range.
const MARGIN: f64 = 0.1;
/// Most metrics named as those that do not fit.
const NAMED: usize = 3;
/// Nearer than this to what the others lead to expect, in standard deviations, a metric fits.
const FITS: f64 = 2.0;

/// How the metrics of one device belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub(super) metrics: Vec<Metric>,
    pub(super) shape: Shape,
    pub(super) gaussians: Vec<Gaussian>,
    pub(super) calibration: Calibration,
}

/// One metric of a model: its scale, and what it was in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Metric {
    pub(super) name: Box<str>,
    pub(super) middle: f64,
    pub(super) spread: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

/// What was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// PCA with so many components.
    Pca(u8),
    /// A mixture of so many Gaussians.
    Mixture(u8),
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pca(1) => write!(f, "PCA, 1 component"),
            Self::Pca(components) => write!(f, "PCA, {components} components"),
            Self::Mixture(1) => write!(f, "1 Gaussian"),
            Self::Mixture(components) => write!(f, "mixture of {components} Gaussians"),
        }
    }
}

/// From surprise to a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    /// The surprise of an ordinary window: the median.
    pub(super) ordinary: f64,
    /// The surprise that is scored 0.5.
    pub(super) limit: f64,
}

/// What a model says of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Its combination was judged.
    Judged(Judgement),
    /// One metric alone is out of the range that it had in training.
    Alone(Box<str>),
    /// It has too few of the model's metrics: less than half, or less than two.
    TooLittle,
}

/// The score of the combination of a window's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// 0..1; 0.5 is more than anything seen in training, and what is expected about once in a year.
    pub score: f64,
    /// −ln likelihood, in nats, of the scaled values.
    pub surprise: f64,
    /// The metrics that fit the others least, the worst first; at most three.
    pub misfits: Vec<Misfit>,
}

/// A metric that does not fit the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// Its name.
    pub metric: Box<str>,
    /// Its value in the window.
    pub value: f64,
    /// What the other values lead to expect.
    pub expected: f64,
    /// How many standard deviations lie between.
    pub deviations: f64,
}

/// A window's values that a model knows: indices of metrics, and scaled values.
#[derive(Default)]
pub(super) struct Scaled {
    pub(super) present: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Model {
    /// What was fitted.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The metrics it knows.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|metric| &*metric.name)
    }

    /// The surprise that is scored 0.5, in nats.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.calibration.limit
    }

    /// The surprise of an ordinary window, in nats.
    #[must_use]
    pub fn ordinary(&self) -> f64 {
        self.calibration.ordinary
    }

    /// Scores a window; `average_of` gives the average of a metric in it, if it has that metric. Metrics that the
    /// model does not know are not asked for.
    pub fn judge(&self, average_of: impl Fn(&str) -> Option<f64>) -> Verdict {
        let mut scaled = Scaled::default();
        for (index, metric) in self.metrics.iter().enumerate() {
            let Some(value) = average_of(&metric.name).filter(|value| value.is_finite()) else { continue };
            if !metric.reaches(value) {
                return Verdict::Alone(metric.name.clone());
            }
            scaled.present.push(index);
            scaled.values.push(metric.scale(value));
        }
        let known = scaled.present.len();
        if known < 2 || known * 2 < self.metrics.len() {
            return Verdict::TooLittle;
        }
        match self.look(&scaled) {
            Some((surprise, _, seen)) => Verdict::Judged(Judgement {
                score: self.calibration.score(surprise),
                surprise,
                misfits: self.misfits(&scaled, &seen),
            }),
            // Farther out than numbers reach, with each value in its range.
            None => Verdict::Judged(Judgement { score: 1.0, surprise: f64::MAX, misfits: Vec::new() }),
        }
    }

    /// The surprise of a window with all metrics.
    pub(super) fn surprise(&self, values: &[f64]) -> Option<f64> {
        let scaled = Scaled { present: (0..values.len()).collect(), values: values.to_vec() };
        self.look(&scaled).map(|(surprise, ..)| surprise)
    }

    /// The surprise, and the Gaussian that explains the window best. What is missing counts as what it would add on
    /// average, so that the calibration holds for such windows too.
    fn look(&self, window: &Scaled) -> Option<(f64, &Gaussian, Fit)> {
        let mut total = f64::NEG_INFINITY;
        let mut best: Option<(&Gaussian, Fit)> = None;
        for gaussian in &self.gaussians {
            let Some(seen) = gaussian.see(&window.present, &window.values) else { continue };
            total = log_sum(total, seen.log_likelihood);
            if best.as_ref().is_none_or(|(_, known)| seen.log_likelihood > known.log_likelihood) {
                best = Some((gaussian, seen));
            }
        }
        let (gaussian, seen) = best?;
        let surprise = gaussian.entropy_of_others(&window.present, &seen) - total;
        surprise.is_finite().then_some((surprise, gaussian, seen))
    }

    fn misfits(&self, window: &Scaled, seen: &Fit) -> Vec<Misfit> {
        let mut misfits: Vec<Misfit> = window
            .present
            .iter()
            .zip(&window.values)
            .zip(seen.conditional())
            .filter_map(|((index, value), (deviations, deviation))| {
                let metric = self.metrics.get(*index)?;
                Some(Misfit {
                    metric: metric.name.clone(),
                    value: metric.unscale(*value),
                    expected: metric.unscale(value - deviations * deviation),
                    deviations: deviations.abs(),
                })
            })
            .collect();
        misfits.retain(|misfit| misfit.deviations > FITS);
        misfits.sort_by(|left, right| right.deviations.total_cmp(&left.deviations));
        misfits.truncate(NAMED);
        misfits
    }

    /// Whether it can judge: a file may hold anything.
    pub(super) fn is_sound(&self) -> bool {
        let Calibration { ordinary, limit } = self.calibration;
        (2..=MAX_METRICS).contains(&self.metrics.len())
            && (1..=MAX_COMPONENTS).contains(&self.gaussians.len())
            && self.metrics.iter().all(Metric::is_sound)
            && self.gaussians.iter().all(|gaussian| gaussian.is_sound(self.metrics.len()))
            && ordinary.is_finite()
            && limit.is_finite()
            && limit > ordinary
    }
}

impl Metric {
    pub(super) fn scale(&self, value: f64) -> f64 {
        (value - self.middle) / self.spread
    }

    fn unscale(&self, scaled: f64) -> f64 {
        self.middle + scaled * self.spread
    }

    fn reaches(&self, value: f64) -> bool {
        let margin = MARGIN * (self.highest - self.lowest);
        (self.lowest - margin..=self.highest + margin).contains(&value)
    }

    fn is_sound(&self) -> bool {
        let numbers = [self.middle, self.spread, self.lowest, self.highest];
        numbers.iter().all(|number| number.is_finite()) && self.spread > 0.0 && self.lowest <= self.highest
    }
}

impl Calibration {
    /// 0 up to the ordinary, 0.5 at the limit, 0.8 at twice as far from the ordinary.
    fn score(self, surprise: f64) -> f64 {
        let excess = ((surprise - self.ordinary) / (self.limit - self.ordinary)).max(0.0);
        1.0 - 1.0 / (1.0 + excess * excess)
    }
}

/// ln(eˡ + eʳ).
fn log_sum(left: f64, right: f64) -> f64 {
    let (low, high) = if left < right { (left, right) } else { (right, left) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}
