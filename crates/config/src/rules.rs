//! `[alerts.*]` as the crate `alerts` takes them.

use alerts::{Escalation, Hours, Policy};

use crate::model::{Alert, SilentFor, StateValue};

/// The rule of an `[alerts.*]` table. `timezone` is that of its hours; hours that cannot be read are left out.
#[must_use]
pub fn rule(name: &str, alert: &Alert, timezone: &str) -> alerts::RuleSpec {
    let between = alert.between.as_deref().and_then(|text| Hours::parse(text, timezone).ok());
    let escalate = |escalate: crate::model::Escalate| Escalation {
        after: escalate.after.0,
        severity: escalate.severity,
    };
    let silent_for = match alert.silent_for {
        Some(SilentFor::After(duration)) => Some(duration.0),
        Some(SilentFor::Auto) | None => None,
    };
    alerts::RuleSpec {
        name: name.into(),
        metric: alert.metric.clone(),
        when: alerts::Conditions {
            above: alert.above,
            below: alert.below,
            rises_by: alert.rises_by,
            falls_by: alert.falls_by,
            within: alert.within.unwrap_or_default().0,
            silent_for,
            anomaly: alert.anomaly,
            equals: alert.equals.map(StateValue::number),
            changes: alert.changes,
            silent_auto: alert.silent_for == Some(SilentFor::Auto),
        },
        hold_for: alert.r#for.0,
        clear_by: alert.clear_by,
        severity: alert.severity,
        devices: alert.devices.clone(),
        zones: alert.zones.clone(),
        expression: alert.when.clone(),
        policy: Policy {
            cooldown: alert.cooldown.0,
            between,
            remind: alert.remind.map(|remind| remind.0),
            escalate: alert.escalate.map(escalate),
        },
    }
}
