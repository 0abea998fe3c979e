//! A rule: the content of one `[alerts.*]` table, and which series it matches.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::Severity;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::expression::Expression;
use crate::hours::Hours;
use crate::stored_rule::StoredRule;

/// The name of the built-in rule for the anomaly model.
pub const ANOMALY: &str = "anomaly";

/// `silent_for = "auto"` is so many usual intervals.
const SILENT_INTERVALS: u32 = 3;
const SHORTEST_REMINDER: Duration = Duration::from_secs(60);

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
    /// `when`: an [`Expression`] over values of the device and its zone.
    pub expression: Option<String>,
    pub policy: Policy,
}

/// When and how often an alert is told, beside being raised and cleared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// After it was cleared it is not raised again for so long, by the gateway's clock.
    pub cooldown: Duration,
    /// Raised within these hours alone; cleared at their end.
    pub between: Option<Hours>,
    /// While it is raised and not acknowledged it is told again each time so long has passed.
    pub remind: Option<Duration>,
    pub escalate: Option<Escalation>,
}

/// An alert that nobody acknowledges becomes worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    pub after: Duration,
    pub severity: Severity,
}

impl Policy {
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The conditions of a rule; at least one is set, or the rule has an expression.
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
    /// The value is exactly this: of a state.
    pub equals: Option<f64>,
    /// The value is another one than before.
    pub changes: bool,
    /// No reading for three times the usual interval.
    pub silent_auto: bool,
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
        if !when.has_value_condition() && !when.watches_silence() && self.expression.is_none() {
            problem(
                "above",
                "no condition; set one of above, below, rises_by, falls_by, equals, changes, silent_for, anomaly, when"
                    .into(),
            );
        }
        if let Some(text) = &self.expression {
            if let Err(error) = Expression::parse(text) {
                problem("when", error.to_string());
            }
            if when.has_value_condition() || when.watches_silence() {
                problem(
                    "when",
                    "stands alone: write the other conditions into it, or into a rule of their own".into(),
                );
            }
            if self.metric.is_some() {
                problem("metric", "`when` names its metrics itself; leave `metric` out".into());
            }
        }
        let of_a_value = [when.above, when.below, when.rises_by, when.falls_by, when.equals];
        if self.metric.is_none() && (when.changes || of_a_value.iter().any(Option::is_some)) {
            problem(
                "metric",
                "which metric is compared? only anomaly, silent_for and when can do without".into(),
            );
        }
        if self.policy.remind.is_some_and(|remind| remind < SHORTEST_REMINDER) {
            problem("remind", "must be at least 1m".into());
        }
        if self.policy.escalate.is_some_and(|escalate| escalate.severity <= self.severity) {
            problem(
                "escalate",
                format!("`severity` must be worse than the rule's, {}", self.severity.as_str()),
            );
        }
        for (key, number) in [("above", when.above), ("below", when.below), ("equals", when.equals)] {
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

    /// What can be meant so, and hardly is: key and reason.
    #[must_use]
    pub fn doubts(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Some((above, below)) = self.when.above.zip(self.when.below) {
            if above < below {
                found.push((
                    "above",
                    "lies under `below`: every value raises the alert, and none clears it".into(),
                ));
            } else if above - below < self.clear_by {
                let text =
                    "is larger than the distance between `below` and `above`: no value clears the alert";
                found.push(("clear_by", text.into()));
            }
        }
        if self.when.changes && !self.hold_for.is_zero() {
            found.push((
                "for",
                "a change is over with the next reading; `for` keeps it from being told".into(),
            ));
        }
        if self.expression.is_some() && self.clear_by > 0.0 {
            found.push(("clear_by", "has no effect with `when`; write the hysteresis into two rules".into()));
        }
        found
    }

    /// Whether what holds under `other` holds under this too: the same conditions on the same series.
    pub(crate) fn has_same_conditions(&self, other: &Self) -> bool {
        self.when == other.when
            && self.expression == other.expression
            && self.metric == other.metric
            && self.devices == other.devices
            && self.zones == other.zones
    }
}

impl Conditions {
    /// Whether a reading can make it hold.
    pub(crate) const fn has_value_condition(&self) -> bool {
        self.above.is_some()
            || self.below.is_some()
            || self.rises_by.is_some()
            || self.falls_by.is_some()
            || self.anomaly.is_some()
            || self.equals.is_some()
            || self.changes
    }

    pub(crate) const fn watches_silence(&self) -> bool {
        self.silent_for.is_some() || self.silent_auto
    }
}

/// A rule that can be used: checked, with its globs compiled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredRule", into = "StoredRule")]
pub struct Rule {
    spec: RuleSpec,
    devices: Option<GlobSet>,
    zones: Option<GlobSet>,
    expression: Option<Expression>,
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
        let expression = spec.expression.as_deref().and_then(|text| Expression::parse(text).ok());
        Ok(Self { spec, devices, zones, expression })
    }
}

impl TryFrom<StoredRule> for Rule {
    type Error = RuleProblem;

    fn try_from(stored: StoredRule) -> Result<Self, RuleProblem> {
        Self::try_from(stored.0)
    }
}

impl From<Rule> for StoredRule {
    fn from(rule: Rule) -> Self {
        Self(rule.spec)
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
            expression: None,
            policy: Policy::default(),
        })
    }

    /// Its `when`, where it has one.
    #[must_use]
    pub const fn expression(&self) -> Option<&Expression> {
        self.expression.as_ref()
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

    /// How long after its last reading a subject counts as silent. `usual`: the interval between its readings, where it
    /// is known, for `silent_for = "auto"`.
    pub(crate) fn silent_after(&self, usual: Option<Duration>) -> Option<Duration> {
        let learnt =
            || self.spec.when.silent_auto.then(|| usual.map(|usual| usual * SILENT_INTERVALS)).flatten();
        let silent = self.spec.when.silent_for.or_else(learnt)?;
        Some(silent.saturating_add(self.spec.hold_for))
    }

    pub(crate) const fn watches_silence(&self) -> bool {
        self.spec.when.watches_silence()
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
