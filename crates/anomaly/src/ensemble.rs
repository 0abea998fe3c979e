//! Combines the statistics of all detectors into one score.
//!
//! Every statistic is ranked among its own past ([`crate::calibration`]). Statistics of the same property form a family, in
//! which the highest rank counts most. All families have the same weight, because weights chosen on one set of series did
//! not work on another. [`crate::suppression`] decides what is reported.

use gateway_core::{AnomalyKind, Moment, Score};
use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::density::Density;
use crate::markov::Markov;
use crate::profile::Profile;
use crate::residual::Residual;
use crate::scale::Scale;
use crate::shift::Shift;
use crate::spread::Spread;
use crate::suppression::{REPEATED_SCORE, SampleSuppression};

const STATISTICS: usize = 8;
/// The families, and how many statistics each has, in the order of [`Detectors::observe`].
const FAMILIES: [(AnomalyKind, usize); 6] = [
    (AnomalyKind::Profile, 2),
    (AnomalyKind::Shift, 1),
    (AnomalyKind::Residual, 2),
    (AnomalyKind::Density, 1),
    (AnomalyKind::Markov, 1),
    (AnomalyKind::Noise, 1),
];
/// The strength with half of the highest score that is not reported. Where one family of six sets a record and the rest are silent, it is 1/6.
const HALF_STRENGTH: f64 = 0.4;
/// A family in which one of two statistics sets a record.
const RECORD: f64 = 0.7;
/// A value within so many steps of the sensor's resolution from the usual is never reported.
const STEPS: f64 = 1.5;
/// The mean distances that are normal.
const DISTANCES: f64 = 4.0;

/// How many times more it takes while a series is young.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Caution {
    /// For a score below 0.5.
    pub(crate) of_scores: f64,
    /// For a report.
    pub(crate) to_report: f64,
}

/// All detectors of a series and what they know, once the trial is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ensemble {
    scale: Scale,
    detectors: Detectors,
    calibrations: Vec<Calibration>,
    suppression: SampleSuppression,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Detectors {
    profile: Profile,
    shift: Shift,
    residual: Residual,
    density: Density,
    markov: Markov,
    spread: Spread,
}

impl Detectors {
    fn new(trial: u32) -> Self {
        Self {
            profile: Profile::default(),
            shift: Shift::default(),
            residual: Residual::new(trial),
            density: Density::default(),
            markov: Markov::default(),
            spread: Spread::default(),
        }
    }

    /// `value` is normalised, `log` its logarithm: see [`Scale`].
    fn observe(&mut self, moment: Moment, value: f64, log: f64) -> [f64; STATISTICS] {
        let [day, week] = self.profile.observe(moment, value, log);
        let shift = self.shift.observe(moment, value);
        let [residual, cusum] = self.residual.observe(moment, value);
        let density = self.density.observe(moment, value);
        [day, week, shift, residual, cusum, density, self.markov.observe(value), self.spread.observe(value)]
    }
}

impl Ensemble {
    /// From the trial's samples. A reported anomaly that is over is not reported again for `quiet` samples.
    pub(crate) fn from_trial(samples: &[(Moment, f64)], quiet: u16) -> Self {
        let scale = Scale::of(samples.iter().map(|(_, value)| *value));
        let mut detectors = Detectors::new(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        let seen: Vec<[f64; STATISTICS]> = samples
            .iter()
            .map(|(moment, value)| detectors.observe(*moment, scale.normalise(*value), scale.log(*value)))
            .collect();
        let of = |index: usize| seen.iter().filter_map(move |row| row.get(index).copied());
        let calibrations = (0..STATISTICS).map(|index| Calibration::from_trial(of(index))).collect();
        Self { scale, detectors, calibrations, suppression: SampleSuppression::new(quiet) }
    }

    /// After a long silence the next value is no step from the last.
    pub(crate) fn forget_last(&mut self) {
        self.detectors.markov.forget_last();
    }

    /// Scores a sample, then learns it: at least 0.5 where it is [reported](SampleSuppression), below where it is not, and
    /// at most [`REPEATED_SCORE`] where a stronger one came shortly before.
    /// `resolution` is the smallest change of value that the sensor shows.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64, caution: Caution, resolution: f64) -> Score {
        let statistics = self.detectors.observe(moment, self.scale.normalise(value), self.scale.log(value));
        let mut ranks = [0.0; STATISTICS];
        for ((rank, statistic), calibration) in ranks.iter_mut().zip(statistics).zip(&mut self.calibrations) {
            *rank = calibration.rank(statistic);
        }
        let families = families(&ranks);
        let strength = mean(families);
        let anomaly_kind = named(&families);
        let decision = self.suppression.add(&families, caution.to_report);
        // A step of a coarse sensor may be the first in days, and is still no anomaly.
        let usual = self.scale.denormalise(self.detectors.profile.usual());
        if let Some(enough) = decision.reported.filter(|_| (value - usual).abs() > STEPS * resolution) {
            let expected =
                self.expected(anomaly_kind, moment).filter(|(low, high)| value < *low || value > *high);
            return Score { value: 1.0 - 0.5 / enough, expected, anomaly_kind: Some(anomaly_kind) };
        }
        let weak = 0.5 * strength / (strength + HALF_STRENGTH * caution.of_scores);
        Score {
            value: if decision.is_strongest { weak } else { weak.min(REPEATED_SCORE) },
            expected: None,
            anomaly_kind: Some(anomaly_kind),
        }
    }

    /// In which range the newest value would have been normal.
    fn expected(&self, anomaly_kind: AnomalyKind, moment: Moment) -> Option<(f64, f64)> {
        let distance = self.calibrations.first().map_or(0.0, Calibration::usual);
        let around = |centre: f64, distance: f64| (centre - distance, centre + distance);
        let (low, high) = match anomaly_kind {
            AnomalyKind::Profile | AnomalyKind::Shift => {
                around(self.detectors.profile.usual(), DISTANCES * distance)
            }
            AnomalyKind::Residual | AnomalyKind::Markov => {
                let (foreseen, error) = self.detectors.residual.foreseen();
                around(foreseen, DISTANCES * error)
            }
            AnomalyKind::Density => self.detectors.density.usual(moment)?,
            _ => return None,
        };
        Some((self.scale.denormalise(low), self.scale.denormalise(high)))
    }
}

/// The rank of each family: the root mean square of its members', in which the highest counts most.
fn families(ranks: &[f64; STATISTICS]) -> [f64; FAMILIES.len()] {
    let mut rest = ranks.as_slice();
    FAMILIES.map(|(_, members)| {
        let (own, others) = rest.split_at_checked(members).unwrap_or((rest, &[]));
        rest = others;
        mean(own.iter().map(|rank| rank * rank)).sqrt()
    })
}

/// The family to report: the one with the highest rank. A spike is also a rare step and increases the spread of the last 60
/// values, but is reported as far off.
fn named(families: &[f64; FAMILIES.len()]) -> AnomalyKind {
    let of = |(anomaly_kind, _): (AnomalyKind, usize), rank: &f64| (anomaly_kind, *rank);
    let all = || FAMILIES.into_iter().zip(families).map(|(family, rank)| of(family, rank));
    let loudest =
        |one: (AnomalyKind, f64), other: (AnomalyKind, f64)| if other.1 > one.1 { other } else { one };
    let plain = all().filter(|(anomaly_kind, rank)| {
        matches!(anomaly_kind, AnomalyKind::Profile | AnomalyKind::Residual) && *rank >= RECORD
    });
    plain
        .reduce(loudest)
        .or_else(|| all().reduce(loudest))
        .map_or(AnomalyKind::Profile, |(anomaly_kind, _)| anomaly_kind)
}

/// Zero of none.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.into_iter().fold((0.0, 0.0_f64), |(sum, count), value| (sum + value, count + 1.0));
    sum / count.max(1.0)
}
