//! A rule as checkpoints and journals hold it.
//!
//! The first form is a row of fields that begins with the rule's name, which is never empty. The present one is an empty
//! name and then the whole [`RuleSpec`]: so both are read wherever they stand, without a version beside them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Severity;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rule::{Conditions, Policy, RuleSpec};

/// Fields of the first form; the present one has two.
const MOST_FIELDS: usize = 8;

pub(crate) struct StoredRule(pub(crate) RuleSpec);

/// The conditions of the first form.
#[derive(Deserialize)]
struct FirstConditions {
    above: Option<f64>,
    below: Option<f64>,
    rises_by: Option<f64>,
    falls_by: Option<f64>,
    within: Duration,
    silent_for: Option<Duration>,
    anomaly: Option<f64>,
}

impl Serialize for StoredRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple(2)?;
        fields.serialize_element("")?;
        fields.serialize_element(&self.0)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for StoredRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(MOST_FIELDS, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = StoredRule;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a rule")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<StoredRule, A::Error> {
        let name: Arc<str> = next(&mut fields)?;
        if name.is_empty() {
            return next(&mut fields).map(StoredRule);
        }
        let metric: Option<String> = next(&mut fields)?;
        let first: FirstConditions = next(&mut fields)?;
        let hold_for: Duration = next(&mut fields)?;
        let clear_by: f64 = next(&mut fields)?;
        let severity: Severity = next(&mut fields)?;
        let devices: Vec<String> = next(&mut fields)?;
        let zones: Vec<String> = next(&mut fields)?;
        let when = Conditions {
            above: first.above,
            below: first.below,
            rises_by: first.rises_by,
            falls_by: first.falls_by,
            within: first.within,
            silent_for: first.silent_for,
            anomaly: first.anomaly,
            ..Conditions::default()
        };
        let (expression, policy) = (None, Policy::default());
        Ok(StoredRule(RuleSpec {
            name,
            metric,
            when,
            hold_for,
            clear_by,
            severity,
            devices,
            zones,
            expression,
            policy,
        }))
    }
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| A::Error::custom("a rule ends too early"))
}
