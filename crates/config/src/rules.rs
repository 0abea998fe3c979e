//! `[alerts.*]` as the crate `alerts` takes them.

use crate::model::Alert;

/// The rule of an `[alerts.*]` table.
#[must_use]
pub fn rule(name: &str, alert: &Alert) -> alerts::RuleSpec {
    alerts::RuleSpec {
        name: name.into(),
        metric: alert.metric.clone(),
        when: alerts::Conditions {
            above: alert.above,
            below: alert.below,
            rises_by: alert.rises_by,
            falls_by: alert.falls_by,
            within: alert.within.unwrap_or_default().0,
            silent_for: alert.silent_for.map(|duration| duration.0),
            anomaly: alert.anomaly,
        },
        hold_for: alert.r#for.0,
        clear_by: alert.clear_by,
        severity: alert.severity,
        devices: alert.devices.clone(),
        zones: alert.zones.clone(),
    }
}
