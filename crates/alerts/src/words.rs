//! The one line of an alert, for somebody who knows the building and not the gateway.

use std::fmt::Write;
use std::time::Duration;

use gateway_core::settings::HumanDuration;

use crate::rule::Conditions;
use crate::state::{Cause, Held, Seen};

pub(crate) fn raised(metric: &str, seen: &Seen, held: &Held, when: &Conditions) -> String {
    let value = number(seen.value, 6);
    match held.cause {
        Cause::Above => format!("{metric} {value} is above {}", limit(when.above)),
        Cause::Below => format!("{metric} {value} is below {}", limit(when.below)),
        Cause::Rises => {
            format!("{metric} rose by {} within {}", number(held.amount, 6), duration(when.within))
        }
        Cause::Falls => {
            format!("{metric} fell by {} within {}", number(held.amount, 6), duration(when.within))
        }
        Cause::Anomaly => match seen.expected {
            Some((low, high)) => {
                format!("{metric} {value} is far from the usual {} to {}", number(low, 4), number(high, 4))
            }
            None if seen.stuck => {
                format!("{metric} has been exactly {value} for unusually long")
            }
            None => format!("{metric} {value} is unusual"),
        },
    }
}

pub(crate) fn cleared(metric: &str, value: f64, cause: Cause, when: &Conditions) -> String {
    let value = number(value, 6);
    let within = duration(when.within);
    match cause {
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
        Cause::Anomaly => format!("{metric} {value} is as usual again"),
        Cause::Above | Cause::Below | Cause::Rises | Cause::Falls => {
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
        Some(metric) => format!("{device}'s {metric} is heard again"),
        None => format!("{device} is heard again"),
    }
}

pub(crate) fn rule_gone(rule: &str) -> String {
    format!("the rule {rule} no longer applies")
}

fn limit(limit: Option<f64>) -> String {
    limit.map_or_else(String::new, |limit| number(limit, 6))
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
    fn silence_names_the_metric_only_where_the_rule_does() {
        assert_eq!(silent("lounge", None, Duration::from_secs(900)), "lounge has been silent for 15m");
        assert_eq!(
            silent("lounge", Some("co2"), Duration::from_secs(90)),
            "lounge's co2 has been silent for 90s"
        );
    }
}
