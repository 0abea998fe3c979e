//! Converts windows to linfa's arrays, and linfa's results to Gaussians.
//!
//! Fits that linfa refuses, or that contain NaN, are not candidates.

use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_clustering::GaussianMixtureModel;
use linfa_reduction::Pca;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng as _;

use super::gaussian::Gaussian;
use super::model::Shape;
use super::tail::number;

/// The variance, in squares of a metric's spread, that everything has: sensors round, and what was always the same may
/// differ by a little.
const RIDGE: f64 = 0.01;
/// Values farther out, in spreads, are drawn in to this for fitting.
const FARTHEST: f64 = 8.0;
/// Expectation-maximisation ends when a window's mean ln likelihood changes by less.
const TOLERANCE: f64 = 1e-3;
const ITERATIONS: u64 = 200;
const SEED: u64 = 42;

/// Scaled windows.
pub(super) struct Sample(DatasetBase<Array2<f64>, Array1<()>>);

impl Sample {
    pub(super) fn of(rows: &[&[f64]]) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let mut records = Array2::zeros((rows.len(), width));
        for (mut record, row) in records.rows_mut().into_iter().zip(rows) {
            record.iter_mut().zip(*row).for_each(|(to, from)| *to = from.clamp(-FARTHEST, FARTHEST));
        }
        Self(DatasetBase::from(records))
    }

    pub(super) fn len(&self) -> usize {
        self.0.records.nrows()
    }

    /// The Gaussians of this shape; none where it cannot be fitted.
    pub(super) fn fit(&self, shape: Shape) -> Option<Vec<Gaussian>> {
        let gaussians = match shape {
            Shape::Pca(components) => vec![self.pca(usize::from(components))?],
            Shape::Mixture(components) => self.mixture(usize::from(components))?,
        };
        let metrics = self.0.records.ncols();
        gaussians.iter().all(|gaussian| gaussian.is_sound(metrics)).then_some(gaussians)
    }

    /// The covariance of probabilistic PCA: along each component its variance, across them the mean of what is left.
    fn pca(&self, components: usize) -> Option<Gaussian> {
        let metrics = self.0.records.ncols();
        // All of them: that is an exact decomposition, fewer are found by iteration.
        let pca = Pca::params(metrics).fit(&self.0).ok()?;
        let windows = number(self.len());
        let variances = pca.singular_values().mapv(|value| value * value / windows);
        let total: f64 = self.0.records.var_axis(ndarray::Axis(0), 0.0).sum();
        let explained: f64 = variances.iter().take(components).sum();
        let noise = (total - explained).max(0.0) / number(metrics.checked_sub(components)?);
        let mut covariance = Array2::<f64>::eye(metrics) * (noise + RIDGE);
        for (axis, variance) in pca.components().rows().into_iter().zip(&variances).take(components) {
            add_along(&mut covariance, axis, variance - noise);
        }
        Some(Gaussian { weight: 1.0, mean: pca.mean().to_vec(), covariance: triangle(covariance.view()) })
    }

    fn mixture(&self, components: usize) -> Option<Vec<Gaussian>> {
        let mixture = GaussianMixtureModel::params(components)
            .with_rng(Xoshiro256Plus::seed_from_u64(SEED))
            .reg_covariance(RIDGE)
            .tolerance(TOLERANCE)
            .max_n_iterations(ITERATIONS)
            .fit(&self.0)
            .ok()?;
        let means = mixture.means().rows();
        let parts = mixture.weights().iter().zip(means).zip(mixture.covariances().outer_iter());
        let gaussian = |((weight, mean), covariance): ((&f64, ArrayView1<'_, f64>), ArrayView2<'_, f64>)| {
            Gaussian { weight: weight.min(1.0), mean: mean.to_vec(), covariance: triangle(covariance) }
        };
        Some(parts.map(gaussian).collect())
    }
}

/// Adds `variance` along the unit vector `axis`.
fn add_along(covariance: &mut Array2<f64>, axis: ArrayView1<'_, f64>, variance: f64) {
    for (mut row, weight) in covariance.rows_mut().into_iter().zip(axis) {
        row.scaled_add(weight * variance, &axis);
    }
}

fn triangle(covariance: ArrayView2<'_, f64>) -> Vec<Vec<f64>> {
    covariance
        .rows()
        .into_iter()
        .zip(1..)
        .map(|(row, length)| row.iter().take(length).copied().collect())
        .collect()
}
