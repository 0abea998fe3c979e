//! Decides which anomalies are reported with a score of at least 0.5, and holds the others back.
//!
//! An anomaly of the ensemble is reported when the [`Evidence`] of the last samples is enough. What was reported is not
//! reported again while it continues, unless it becomes twice as strong ([`Reports`]); below 0.5 a score counts only if
//! it is the strongest recent one ([`RecentStrengths`]). An anomaly of a whole zone is reported for one device ([`ZoneReports`]).
//!
//! What people are notified of, and for how long the same anomaly is held back then, is decided by the alert rules.

use gateway_core::{AnomalyKind, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::HOUR_MILLIS;
use crate::ensemble::mean;
use crate::recent::Recent;

/// From this score on an anomaly is reported.
pub(crate) const REPORTED_SCORE: f64 = 0.5;
/// The highest score of what is held back: just above what alert rules take for a fault that continues (0.12), so that
/// an alert stays raised while its fault lasts.
pub(crate) const REPEATED_SCORE: f64 = 0.14;

/// Weight of the newest sample in the evidence: it remembers about six samples, half an hour.
const EVIDENCE_RATE: f64 = 1.0 / 6.0;
/// No family's rank counts for more than one and a half times its record: chance moves one family, a fault several.
const MAX_RANK: f64 = 1.5;
/// The evidence that is enough: two of six families at their record for three quarters of an hour, or four for a quarter.
const ENOUGH_EVIDENCE: f64 = 0.26;
/// The strength of a single sample that is enough at once.
const BLATANT_STRENGTH: f64 = 20.0;
/// An anomaly that is this many times as strong as the reported one is reported in any case.
const WORSE_FACTOR: f64 = 2.0;
/// While so much of the evidence is left that is enough, what the samples showed continues.
const SAMPLES_CONTINUE: f64 = 0.5;
/// The same for single readings, whose strength is the odds of their score.
const READINGS_CONTINUE: f64 = REPEATED_SCORE / (1.0 - REPEATED_SCORE);
/// For so long after one device of a zone was reported, others that show the same are held back.
const ZONE_HOLD_MILLIS: i64 = 12 * HOUR_MILLIS.cast_signed();

/// The evidence of the last samples that something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Evidence(f64);

impl Evidence {
    /// Takes in the ranks of the families of a sample. Returns the evidence as a multiple of what is enough.
    fn add(&mut self, families: &[f64]) -> f64 {
        let strength = mean(families.iter().copied());
        let capped = mean(families.iter().map(|rank| rank.min(MAX_RANK)));
        self.0 += EVIDENCE_RATE * (capped - self.0);
        (self.0 / ENOUGH_EVIDENCE).max(strength / BLATANT_STRENGTH)
    }
}

/// How an anomaly stands to the one that was reported last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is to be reported.
    New,
    /// It was reported, and continues.
    Repeated,
    /// It is not strong enough to be reported.
    Weak,
}

/// The anomaly that was reported last, and whether it continues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reports {
    kind: Option<AnomalyKind>,
    strength: f64,
    /// The strength from which on the reported anomaly continues.
    continue_from: f64,
    /// For how many samples or readings after its end it still counts as the same; how many of them are left.
    quiet: u16,
    left: u16,
}

impl Reports {
    /// Of single readings: what ends is new when it comes back.
    pub(crate) const fn of_readings() -> Self {
        Self::new(READINGS_CONTINUE, 1)
    }

    const fn of_samples(quiet: u16) -> Self {
        Self::new(SAMPLES_CONTINUE, quiet)
    }

    const fn new(continue_from: f64, quiet: u16) -> Self {
        Self { kind: None, strength: 0.0, continue_from, quiet, left: 0 }
    }

    /// Takes in the strength of an anomaly; 1 is enough to be reported. Those of different kinds are different ones.
    pub(crate) fn add(&mut self, kind: Option<AnomalyKind>, strength: f64) -> Report {
        let continues = self.left > 0 && strength >= self.continue_from;
        let is_same = self.left > 0 && kind == self.kind;
        let is_new = strength >= 1.0 && (!is_same || strength >= WORSE_FACTOR * self.strength);
        if is_new {
            (self.kind, self.strength) = (kind, strength);
        }
        self.left = if is_new || continues { self.quiet } else { self.left.saturating_sub(1) };
        match is_new {
            true => Report::New,
            false if is_same && continues => Report::Repeated,
            false => Report::Weak,
        }
    }
}

/// The strengths of the last samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecentStrengths(Recent);

impl RecentStrengths {
    /// Takes in a strength; whether it is greater than all of the last `samples`.
    fn is_strongest(&mut self, strength: f64) -> bool {
        let is_strongest = self.0.greatest().is_none_or(|greatest| strength > greatest);
        self.0.push(strength);
        is_strongest
    }
}

/// What is reported of the samples of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleSuppression {
    evidence: Evidence,
    reports: Reports,
    strengths: RecentStrengths,
}

/// What is to be done with a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SampleDecision {
    /// The evidence as a multiple of what is enough, where it is to be reported.
    pub(crate) reported: Option<f64>,
    /// Whether it is the strongest of late.
    pub(crate) is_strongest: bool,
}

impl SampleSuppression {
    /// An anomaly that is over is not reported again for `quiet` samples, unless it is clearly worse.
    pub(crate) const fn new(quiet: u16) -> Self {
        Self {
            evidence: Evidence(0.0),
            reports: Reports::of_samples(quiet),
            strengths: RecentStrengths(Recent::new(quiet)),
        }
    }

    /// Takes in the ranks of a sample's families. `caution` says how many times more evidence a young series needs.
    pub(crate) fn add(&mut self, families: &[f64], caution: f64) -> SampleDecision {
        let is_strongest = self.strengths.is_strongest(mean(families.iter().copied()));
        let enough = self.evidence.add(families) / caution;
        let is_new = self.reports.add(None, enough) == Report::New;
        SampleDecision { reported: is_new.then_some(enough), is_strongest }
    }
}

/// The device of a zone that was reported last for one metric, and when what it showed was last seen on any device.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ZoneReports(Option<(DeviceId, Timestamp)>);

impl ZoneReports {
    /// Whether an anomaly is held back: `is_shared` says that the device behaves as the others of its zone do.
    pub(crate) fn holds_back(&mut self, device: DeviceId, at: Timestamp, is_shared: bool) -> bool {
        let is_of_other = |(other, seen): &(DeviceId, Timestamp)| {
            *other != device && (0..ZONE_HOLD_MILLIS).contains(&at.millis_after(*seen))
        };
        let reported = self.0.filter(|reported| is_shared && is_of_other(reported));
        self.0 = Some((reported.map_or(device, |(other, _)| other), at));
        reported.is_some()
    }
}

#[cfg(test)]
mod tests;
