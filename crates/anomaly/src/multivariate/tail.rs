//! The calibration: the surprise from which a window is an anomaly, estimated from windows that the model was not fitted on.
//!
//! The surprises above their 90th percentile are taken as the tail of a generalised Pareto distribution (fitted by
//! probability-weighted moments: Hosking and Wallis, 1987) and followed out to what is exceeded once in a year. Its
//! shape is kept between an exponential tail and a heavy one (0.3), because a short history says little about it. The limit
//! is at least the largest surprise in the history, incidents left out: those lie farther out than any tail reaches.

use super::model::Calibration;

/// How far an incident lies from the 90th percentile, in distances of that from the median. An exponential tail gets
/// there once in ten million windows.
const INCIDENT: f64 = 10.0;
const HEAVIEST: f64 = 0.3;
/// The limit is never nearer to the ordinary than this, in nats.
const NEAREST: f64 = 3.0;

/// The tail of surprises, and what is an incident beyond it.
pub(super) struct Tail {
    ordinary: f64,
    limit: f64,
    incident: f64,
}

impl Tail {
    /// Of `surprises`, of which there are `per_year` in a year; none where there are none.
    pub(super) fn of(mut surprises: Vec<f64>, per_year: f64) -> Option<Self> {
        surprises.sort_by(f64::total_cmp);
        let ordinary = quantile(&surprises, 0.5)?;
        let high = quantile(&surprises, 0.9)?;
        let incident = high + INCIDENT * (high - ordinary).max(0.1);
        let excesses: Vec<f64> = surprises
            .iter()
            .filter(|surprise| **surprise > high && **surprise < incident)
            .map(|surprise| surprise - high)
            .collect();
        let (shape, scale) = pareto(&excesses).unwrap_or((0.0, (high - ordinary).max(0.1)));
        let per_year = (per_year * 0.1).max(1.0);
        let beyond =
            if shape < 1e-6 { scale * per_year.ln() } else { scale / shape * (per_year.powf(shape) - 1.0) };
        Some(Self { ordinary, limit: high + beyond, incident: incident.max(high + 2.0 * beyond) })
    }

    /// Whether such a surprise is no part of what is usual, rare or not.
    pub(super) fn is_incident(&self, surprise: f64) -> bool {
        surprise.partial_cmp(&self.incident).is_none_or(std::cmp::Ordering::is_gt)
    }

    /// The calibration, with a limit above everything in the history that is no incident.
    pub(super) fn calibration(&self, history: impl Iterator<Item = f64>) -> Calibration {
        let largest =
            history.filter(|surprise| !self.is_incident(*surprise)).fold(f64::NEG_INFINITY, f64::max);
        let limit = self.limit.max(largest * (1.0 + f64::EPSILON)).max(self.ordinary + NEAREST);
        Calibration { ordinary: self.ordinary, limit }
    }
}

/// Shape and scale, of excesses in ascending order.
fn pareto(excesses: &[f64]) -> Option<(f64, f64)> {
    if excesses.len() < 10 {
        return None;
    }
    let count = number(excesses.len());
    let mean = excesses.iter().sum::<f64>() / count;
    let weighted: f64 = excesses
        .iter()
        .enumerate()
        .map(|(rank, excess)| excess * (1.0 - (number(rank) + 0.65) / count))
        .sum::<f64>()
        / count;
    let shape = (2.0 - mean / (mean - 2.0 * weighted)).clamp(0.0, HEAVIEST);
    let scale = mean * (1.0 - shape);
    (shape.is_finite() && scale > 0.0).then_some((shape, scale))
}

/// Of ascending numbers.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let index = (share * number(last)).round() as usize;
    sorted.get(index.min(last)).copied()
}

pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spaced quantiles of an exponential distribution.
    fn exponential(count: usize) -> Vec<f64> {
        (0..count).map(|rank| -(1.0 - (number(rank) + 0.5) / number(count)).ln()).collect()
    }

    #[test]
    fn the_tail_is_followed_to_what_comes_once_in_a_year() {
        let tail = Tail::of(exponential(2000), 100_000.0).unwrap();
        let once_in_a_year = 100_000_f64.ln();
        assert!((tail.limit - once_in_a_year).abs() < 1.5, "{} is not near {once_in_a_year}", tail.limit);
    }

    #[test]
    fn an_incident_does_not_move_the_limit_but_a_rare_window_does() {
        let quiet = Tail::of(exponential(2000), 100_000.0).unwrap();
        let mut surprises = exponential(2000);
        surprises.extend([500.0; 5]);
        let tail = Tail::of(surprises.clone(), 100_000.0).unwrap();
        assert!((tail.limit - quiet.limit).abs() < 0.5);
        assert!(tail.calibration(surprises.iter().copied()).limit < 20.0);
        let rare = tail.limit + 1.0;
        assert!(tail.calibration([rare].into_iter()).limit > rare);
    }
}
