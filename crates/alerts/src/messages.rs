//! The text of an alert, for a reader who knows the building and not the gateway.

use std::fmt::Write;
use std::time::Duration;

use gateway_core::AnomalyKind;
use gateway_core::settings::HumanDuration;

use crate::expression::Expression;
use crate::rule::Conditions;
use crate::state::{ActiveCondition, Cause, Observation};

/// What a message says beside the reading itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageContext<'a> {
    /// The metric's name.
    pub(crate) name: &'a str,
    /// The device's zone, where it has one and it is known.
    pub(crate) zone: Option<&'a str>,
    /// For how long the value has been exactly the same.
    pub(crate) unchanged: Duration,
}

pub(crate) fn raised(
    message_context: &MessageContext<'_>,
    observation: &Observation,
    condition: &ActiveCondition,
    when: &Conditions,
) -> String {
    let metric = message_context.name;
    let value = number(observation.value.unwrap_or(condition.amount), 6);
    match condition.cause {
        Cause::Above => format!("{metric} {value} is above {}", limit(when.above)),
        Cause::Below => format!("{metric} {value} is below {}", limit(when.below)),
        Cause::Rises => {
            format!("{metric} rose by {} within {}", number(condition.amount, 6), duration(when.within))
        }
        Cause::Falls => {
            format!("{metric} fell by {} within {}", number(condition.amount, 6), duration(when.within))
        }
        Cause::Anomaly => anomaly(message_context, &value, observation),
        Cause::Equals | Cause::Expression => format!("{metric} is {value}"),
        Cause::Changes => format!("{metric} changed from {} to {value}", number(condition.amount, 6)),
    }
}

/// The values that an expression read, and the expression.
pub(crate) fn expression_holds(expression: &Expression, values: &[f64]) -> String {
    format!("{}: {}", values_of(expression, values), expression.text())
}

pub(crate) fn expression_over(expression: &Expression, values: &[f64]) -> String {
    format!("{}: no longer {}", values_of(expression, values), expression.text())
}

/// `co2 1200, zone.temperature 21.5`.
fn values_of(expression: &Expression, values: &[f64]) -> String {
    let mut text = String::new();
    for (variable, value) in expression.variables().iter().zip(values) {
        let comma = if text.is_empty() { "" } else { ", " };
        let value = if value.is_nan() { "unknown".to_owned() } else { number(*value, 6) };
        let _ = write!(text, "{comma}{variable} {value}");
    }
    text
}

/// One sentence for each kind of anomaly, then the range, then the detector for those who know them.
fn anomaly(message_context: &MessageContext<'_>, value: &str, observation: &Observation) -> String {
    let metric = message_context.name;
    let mut text = match observation.anomaly_kind {
        None => format!("{metric} {value} is unusual"),
        Some(AnomalyKind::Profile) => format!("{metric} {value} is unusual for this time of day"),
        Some(AnomalyKind::Shift) => format!("{metric} has settled at a new level: {value}"),
        Some(AnomalyKind::Residual) => format!("{metric} {value} does not follow from the readings before"),
        Some(AnomalyKind::Density) => format!("{metric} {value} hardly ever occurs at this time of day"),
        Some(AnomalyKind::Markov) => format!("{metric} {value} hardly ever follows the reading before"),
        Some(AnomalyKind::Stuck) => {
            format!("{metric} has been exactly {value} for {}", how_long(message_context.unchanged))
        }
        Some(AnomalyKind::Sentinel) => {
            format!("{metric} {value} is what a broken or unplugged sensor shows")
        }
        Some(AnomalyKind::Noise) => format!("{metric} scatters far more than before, now {value}"),
        Some(AnomalyKind::Drift) => match message_context.zone {
            Some(zone) => format!("{metric} {value} drifts away from its neighbours in {zone}"),
            None => format!("{metric} {value} drifts away from its neighbours"),
        },
        Some(AnomalyKind::Combination) => combination_of(&format!("{metric} {value}")),
    };
    if let Some((low, high)) = observation.expected {
        let whose = if observation.anomaly_kind == Some(AnomalyKind::Drift) {
            "by its neighbours"
        } else {
            "usually"
        };
        let _ = write!(text, "; {whose} {} to {}", number(low, 4), number(high, 4));
    }
    name_detector(text, observation.anomaly_kind)
}

fn name_detector(mut text: String, anomaly_kind: Option<AnomalyKind>) -> String {
    if let Some(anomaly_kind) = anomaly_kind {
        let _ = write!(text, " ({})", anomaly_kind.as_str());
    }
    text
}

/// Of a device as a whole; `values` are the ones that do not fit each other, or empty.
pub(crate) fn combination(values: &str) -> String {
    name_detector(combination_of(values), Some(AnomalyKind::Combination))
}

fn combination_of(values: &str) -> String {
    const TEXT: &str = "each value is ordinary, their combination is not";
    if values.is_empty() { TEXT.to_owned() } else { format!("{values}: {TEXT}") }
}

pub(crate) fn combination_over() -> String {
    "the combination of values is as usual again".to_owned()
}

pub(crate) fn acknowledged(hold: Duration) -> String {
    format!("acknowledged; no new alert for {} unless it gets clearly worse", duration(hold))
}

/// `has_settled`: the alert ends because the value stayed.
pub(crate) fn cleared(
    metric: &str,
    condition: &ActiveCondition,
    has_settled: bool,
    when: &Conditions,
) -> String {
    let value = number(condition.amount, 6);
    let within = duration(when.within);
    match condition.cause {
        Cause::Above if when.above.is_some() => {
            format!("{metric} {value} is no longer above {}", limit(when.above))
        }
        Cause::Below if when.below.is_some() => {
            format!("{metric} {value} is no longer below {}", limit(when.below))
        }
        Cause::Rises if when.rises_by.is_some() => {
            format!("{metric} {value} no longer rises by {} within {within}", limit(when.rises_by))
        }
        Cause::Falls if when.falls_by.is_some() => {
            format!("{metric} {value} no longer falls by {} within {within}", limit(when.falls_by))
        }
        Cause::Anomaly if has_settled => {
            format!("{metric} {value} has stayed at this level for an hour, which counts as normal now")
        }
        Cause::Anomaly => format!("{metric} {value} is as usual again"),
        Cause::Equals if when.equals.is_some() => {
            format!("{metric} {value} is no longer {}", limit(when.equals))
        }
        Cause::Changes => format!("{metric} {value}: the change is over"),
        Cause::Above | Cause::Below | Cause::Rises | Cause::Falls | Cause::Equals | Cause::Expression => {
            format!("{metric} {value} is no longer an alert")
        }
    }
}

/// Of a whole device, or of one of its metrics.
pub(crate) fn silent(device: &str, metric: Option<&str>, after: Duration) -> String {
    let mut text = device.to_owned();
    if let Some(metric) = metric {
        let _ = write!(text, "'s {metric}");
    }
    let _ = write!(text, " has been silent for {}", duration(after));
    text
}

pub(crate) fn heard_again(device: &str, metric: Option<&str>) -> String {
    match metric {
        Some(metric) => format!("{device}'s {metric} sends again"),
        None => format!("{device} sends again"),
    }
}

pub(crate) fn rule_gone(rule: &str) -> String {
    format!("the rule {rule} no longer applies")
}

fn limit(limit: Option<f64>) -> String {
    limit.map_or_else(String::new, |limit| number(limit, 6))
}

/// What an earlier version saw is not known.
fn how_long(unchanged: Duration) -> String {
    if unchanged < Duration::from_secs(60) { "unusually long".to_owned() } else { roughly(unchanged) }
}

/// In the unit of which there are at least two, cut: `5h`, `47m`; it is for people and not for arithmetic.
fn roughly(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fits = units.into_iter().find(|(length, _)| secs >= 2 * length);
    fits.map_or_else(|| format!("{secs}s"), |(length, unit)| format!("{}{unit}", secs / length))
}

fn duration(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

/// With so many significant digits, without what binary fractions leave behind.
fn number(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let rounded: f64 = scientific.parse().unwrap_or(value);
    let magnitude = rounded.abs();
    if magnitude != 0.0 && !(1e-4..1e12).contains(&magnitude) {
        format!("{rounded:e}")
    } else {
        format!("{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(47.3 - 41.2, 6), "6.1");
        assert_eq!(number(20.123_456, 4), "20.12");
        assert_eq!(number(0.0, 6), "0");
        assert_eq!(number(-0.000_001_234, 4), "-1.234e-6");
        assert_eq!(number(1.5e300, 6), "1.5e300");
        assert_eq!(number(1234.0, 4), "1234");
    }

    #[test]
    fn every_anomaly_kind_has_its_sentence_with_value_range_and_detector() {
        let message_context = MessageContext {
            name: "temperature",
            zone: Some("floor-1"),
            unchanged: Duration::from_secs(5 * 3600 + 1700),
        };
        let message = |anomaly_kind, expected| {
            anomaly(
                &message_context,
                "31.2",
                &Observation { value: Some(31.2), score: 0.8, expected, anomaly_kind },
            )
        };
        let range = Some((20.123, 22.444));
        for (anomaly_kind, text) in [
            (AnomalyKind::Profile, "temperature 31.2 is unusual for this time of day"),
            (AnomalyKind::Shift, "temperature has settled at a new level: 31.2"),
            (AnomalyKind::Residual, "temperature 31.2 does not follow from the readings before"),
            (AnomalyKind::Density, "temperature 31.2 hardly ever occurs at this time of day"),
            (AnomalyKind::Markov, "temperature 31.2 hardly ever follows the reading before"),
            (AnomalyKind::Stuck, "temperature has been exactly 31.2 for 5h"),
            (AnomalyKind::Sentinel, "temperature 31.2 is what a broken or unplugged sensor shows"),
            (AnomalyKind::Noise, "temperature scatters far more than before, now 31.2"),
            (AnomalyKind::Drift, "temperature 31.2 drifts away from its neighbours in floor-1"),
            (AnomalyKind::Combination, "temperature 31.2: each value is ordinary, their combination is not"),
        ] {
            let detector = anomaly_kind.as_str();
            assert_eq!(message(Some(anomaly_kind), None), format!("{text} ({detector})"));
            let whose = if anomaly_kind == AnomalyKind::Drift { "by its neighbours" } else { "usually" };
            let with_range = format!("{text}; {whose} 20.12 to 22.44 ({detector})");
            assert_eq!(message(Some(anomaly_kind), range), with_range);
        }
        assert_eq!(message(None, range), "temperature 31.2 is unusual; usually 20.12 to 22.44");
    }

    #[test]
    fn durations_are_rounded_down_to_one_unit() {
        let text = |secs| roughly(Duration::from_secs(secs));
        assert_eq!([text(0), text(119), text(120), text(7199)], ["0s", "119s", "2m", "119m"]);
        assert_eq!([text(7200), text(100_000), text(172_800)], ["2h", "27h", "2d"]);
    }

    #[test]
    fn silence_names_the_metric_only_where_the_rule_does() {
        assert_eq!(silent("lounge", None, Duration::from_secs(900)), "lounge has been silent for 15m");
        assert_eq!(
            silent("lounge", Some("co2"), Duration::from_secs(90)),
            "lounge's co2 has been silent for 90s"
        );
    }
}
