//! A rule: the content of one `[alerts.*]` table, and which series it matches.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::Severity;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// The name of the built-in rule for the anomaly model.
pub const ANOMALY: &str = "anomaly";

/// One `[alerts.<name>]` table as it was written. The alert is raised while any of its conditions holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleSpec {
    /// The table's name; unique.
    pub name: Arc<str>,
    /// The metric it matches; none for anomalies of every metric, and for silence of a device as a whole.
    pub metric: Option<String>,
    pub when: Conditions,
    /// How long a condition must hold before the alert is raised: `for`, in event time of the series, or by the clock
    /// since the condition's first reading came, whichever is first; silence adds it to `silent_for`, by the clock.
    pub hold_for: Duration,
    /// How far a value, or a rise or fall, must come back behind its limit to clear the alert; in the metric's unit.
    pub clear_by: f64,
    pub severity: Severity,
    /// Globs over device names; empty for all.
    pub devices: Vec<String>,
    /// Globs over zones, where `*` also passes a `/`; empty for all. A device without a zone has the zone ``.
    pub zones: Vec<String>,
}

/// The conditions of a rule; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// The value lies above this.
    pub above: Option<f64>,
    /// The value lies below this.
    pub below: Option<f64>,
    /// The value exceeds the lowest of the last `within` by at least this.
    pub rises_by: Option<f64>,
    /// The value lies at least this much under the highest of the last `within`.
    pub falls_by: Option<f64>,
    /// The time that `rises_by` and `falls_by` look back.
    pub within: Duration,
    /// No reading for this long, by the gateway's clock.
    pub silent_for: Option<Duration>,
    /// The anomaly score is at least this; 0..1.
    pub anomaly: Option<f64>,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alerts.{rule}.{key}: {reason}")]
pub struct RuleProblem {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The key that is wrong; the first of several that could be.
    pub key: &'static str,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

impl RuleSpec {
    /// All that is wrong with it; empty for a rule that can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<RuleProblem> {
        let when = &self.when;
        let mut found = Vec::new();
        let mut problem = |key, reason: String| {
            found.push(RuleProblem { rule: Arc::clone(&self.name), key, reason });
        };
        if !when.has_value_condition() && when.silent_for.is_none() {
            problem(
                "above",
                "no condition; set one of above, below, rises_by, falls_by, silent_for, anomaly".into(),
            );
        }
        let of_a_value = [when.above, when.below, when.rises_by, when.falls_by];
        if self.metric.is_none() && of_a_value.iter().any(Option::is_some) {
            problem("metric", "which metric is compared? only anomaly and silent_for can do without".into());
        }
        for (key, number) in [("above", when.above), ("below", when.below)] {
            if number.is_some_and(|number| !number.is_finite()) {
                problem(key, "not a finite number".into());
            }
        }
        for (key, number) in [("rises_by", when.rises_by), ("falls_by", when.falls_by)] {
            if number.is_some_and(|number| !(number.is_finite() && number > 0.0)) {
                problem(key, "must be a number above 0".into());
            }
        }
        if (when.rises_by.is_some() || when.falls_by.is_some()) && when.within.is_zero() {
            problem(
                "within",
                "rises_by and falls_by need `within`, a duration above 0 such as \"10m\"".into(),
            );
        }
        if when.silent_for.is_some_and(|silent| silent.is_zero()) {
            problem("silent_for", "must be longer than 0".into());
        }
        if when.anomaly.is_some_and(|score| !(score > 0.0 && score <= 1.0)) {
            problem("anomaly", "a score lies above 0 and at most at 1".into());
        }
        if !(self.clear_by.is_finite() && self.clear_by >= 0.0) {
            problem("clear_by", "must be a number of at least 0".into());
        }
        for (key, globs) in [("devices", &self.devices), ("zones", &self.zones)] {
            if let Err(error) = glob_set(globs) {
                problem(key, format!("not a list of globs such as \"floor-1/*\": {error}"));
            }
        }
        found
    }

    /// Whether what holds under `other` holds under this too: the same conditions on the same series.
    pub(crate) fn has_same_conditions(&self, other: &Self) -> bool {
        self.when == other.when
            && self.metric == other.metric
            && self.devices == other.devices
            && self.zones == other.zones
    }
}

impl Conditions {
    /// The limit of `above` or `below` that this value has passed.
    #[must_use]
    pub fn limit(&self, value: f64) -> Option<f64> {
        let above = self.above.filter(|limit| value > *limit);
        above.or_else(|| self.below.filter(|limit| value < *limit))
    }

    /// Whether a reading can make it hold.
    pub(crate) const fn has_value_condition(&self) -> bool {
        self.above.is_some()
            || self.below.is_some()
            || self.rises_by.is_some()
            || self.falls_by.is_some()
            || self.anomaly.is_some()
    }
}

/// A rule that can be used: checked, with its globs compiled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "RuleSpec", into = "RuleSpec")]
pub struct Rule {
    spec: RuleSpec,
    devices: Option<GlobSet>,
    zones: Option<GlobSet>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl TryFrom<RuleSpec> for Rule {
    type Error = RuleProblem;

    /// The first of [`RuleSpec::problems`] where there is one.
    fn try_from(spec: RuleSpec) -> Result<Self, RuleProblem> {
        if let Some(problem) = spec.problems().into_iter().next() {
            return Err(problem);
        }
        let compile = |key, globs: &[String]| {
            glob_set(globs).map_err(|error| RuleProblem {
                rule: Arc::clone(&spec.name),
                key,
                reason: error.to_string(),
            })
        };
        let devices = compile("devices", &spec.devices)?;
        let zones = compile("zones", &spec.zones)?;
        Ok(Self { spec, devices, zones })
    }
}

impl From<Rule> for RuleSpec {
    fn from(rule: Rule) -> Self {
        rule.spec
    }
}

impl Rule {
    /// The built-in rule: every series whose score reaches `threshold` (`[anomaly] threshold`), as a warning.
    ///
    /// # Errors
    /// Where `threshold` is not above 0 and at most 1.
    pub fn anomaly(threshold: f64) -> Result<Self, RuleProblem> {
        Self::try_from(RuleSpec {
            name: ANOMALY.into(),
            metric: None,
            when: Conditions { anomaly: Some(threshold), ..Conditions::default() },
            hold_for: Duration::ZERO,
            clear_by: 0.0,
            severity: Severity::Warning,
            devices: Vec::new(),
            zones: Vec::new(),
        })
    }

    #[must_use]
    pub const fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// Whether it is about this device.
    #[must_use]
    pub fn matches_device(&self, device: &str, zone: Option<&str>) -> bool {
        self.devices.as_ref().is_none_or(|globs| globs.is_match(device))
            && self.zones.as_ref().is_none_or(|globs| globs.is_match(zone.unwrap_or_default()))
    }

    pub(crate) fn matches_metric(&self, metric: &str) -> bool {
        self.spec.metric.as_deref().is_none_or(|own| own == metric)
    }

    /// How long after its last reading a subject counts as silent.
    pub(crate) fn silent_after(&self) -> Option<Duration> {
        self.spec.when.silent_for.map(|silent| silent.saturating_add(self.spec.hold_for))
    }
}

/// `None` for an empty list: it matches everything.
fn glob_set(globs: &[String]) -> Result<Option<GlobSet>, globset::Error> {
    if globs.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob)?);
    }
    set.build().map(Some)
}
