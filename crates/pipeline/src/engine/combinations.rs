//! The device as a whole: its model, and its score of a window in which every single value is ordinary.
//!
//! Models come in by a step, as everything does that decides an outcome, and are part of the checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use anomaly::multivariate::file::Stored;
use anomaly::multivariate::{Judgement, Misfit, Verdict};
use gateway_core::{Aggregate, AnomalyKind, DeviceId, MetricId, Score, Subject};
use serde::{Deserialize, Serialize};

use super::registry::Registry;

/// A model that is new, or no longer there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewModel {
    pub device: Box<str>,
    pub stored: Option<Box<Stored>>,
}

impl From<Stored> for NewModel {
    fn from(stored: Stored) -> Self {
        Self { device: stored.device.clone(), stored: Some(Box::new(stored)) }
    }
}

/// The models by device name: a device may have one before it is first seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Combinations {
    models: BTreeMap<Box<str>, Stored>,
}

/// A model's judgement of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub device: DeviceId,
    pub score: Score,
    /// The values that do not fit each other, for people: `temperature 21 (rather 17), heating 100`. Empty where the
    /// score is ordinary.
    pub values: String,
}

impl Combinations {
    /// What has to change for these to be the models.
    pub fn difference(&self, models: Vec<Stored>) -> Vec<NewModel> {
        let names: BTreeSet<&str> = models.iter().map(|stored| &*stored.device).collect();
        let gone = self.models.keys().filter(|device| !names.contains(&***device));
        let gone: Vec<NewModel> =
            gone.map(|device| NewModel { device: device.clone(), stored: None }).collect();
        let new = models.into_iter().filter(|stored| self.models.get(&stored.device) != Some(stored));
        gone.into_iter().chain(new.map(NewModel::from)).collect()
    }

    pub fn learn(&mut self, new: &NewModel) {
        match &new.stored {
            Some(stored) => drop(self.models.insert(new.device.clone(), (**stored).clone())),
            None => drop(self.models.remove(&new.device)),
        }
    }

    /// Judges a window of a device when it is first closed; none where there is no model, or it cannot judge.
    pub fn judge(&self, aggregate: &Aggregate, registry: &Registry) -> Option<Judged> {
        let Subject::Device(device) = aggregate.subject else { return None };
        if aggregate.revision > 0 || self.models.is_empty() {
            return None;
        }
        let stored = self.models.get(registry.device_name(device))?;
        let average_of = |name: &str| {
            let id: MetricId = registry.metric_id(name)?;
            aggregate.metrics.iter().find(|(metric, _)| *metric == id).map(|(_, summary)| summary.avg)
        };
        match stored.model.judge(average_of) {
            Verdict::Judged(judgement) => Some(judged(device, &judgement)),
            // The detectors of that metric report it.
            Verdict::Alone(_) => Some(Judged { device, score: Score::NONE, values: String::new() }),
            Verdict::TooLittle => None,
        }
    }
}

fn judged(device: DeviceId, judgement: &Judgement) -> Judged {
    let score =
        Score { value: judgement.score, expected: None, anomaly_kind: Some(AnomalyKind::Combination) };
    let values: Vec<String> = judgement.misfits.iter().map(describe).collect();
    Judged { device, score, values: values.join(", ") }
}

fn describe(misfit: &Misfit) -> String {
    format!("{} {} (rather {})", misfit.metric, short(misfit.value), short(misfit.expected))
}

/// Four digits, without zeros at the end.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { 3.0 - value.abs().log10().floor() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 9")]
    let text = format!("{value:.*}", digits.clamp(0.0, 9.0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
