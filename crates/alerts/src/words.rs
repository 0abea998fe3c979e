//! The one line of an alert, for somebody who knows the building and not the gateway.

use std::fmt::Write;
use std::time::Duration;

use gateway_core::Oddity;
use gateway_core::settings::HumanDuration;

use crate::rule::Conditions;
use crate::state::{Cause, Held, Seen};

/// What surrounds a reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// The metric's name.
    pub(crate) name: &'a str,
    /// The device's zone, where it has one and it is known.
    pub(crate) zone: Option<&'a str>,
    /// For how long the value has been exactly the same.
    pub(crate) unchanged: Duration,
}

pub(crate) fn raised(around: &Around<'_>, seen: &Seen, held: &Held, when: &Conditions) -> String {
    let metric = around.name;
    let value = number(seen.value.unwrap_or(held.amount), 6);
    match held.cause {
        Cause::Above => format!("{metric} {value} is above {}", limit(when.above)),
        Cause::Below => format!("{metric} {value} is below {}", limit(when.below)),
        Cause::Rises => {
            format!("{metric} rose by {} within {}", number(held.amount, 6), duration(when.within))
        }
        Cause::Falls => {
            format!("{metric} fell by {} within {}", number(held.amount, 6), duration(when.within))
        }
        Cause::Anomaly => anomaly(around, &value, seen),
    }
}

/// One sentence for each way to be odd, then the range, then the detector for those who know them.
fn anomaly(around: &Around<'_>, value: &str, seen: &Seen) -> String {
    let metric = around.name;
    let mut text = match seen.oddity {
        None => format!("{metric} {value} is unusual"),
        Some(Oddity::Profile) => format!("{metric} {value} is unusual for this time of day"),
        Some(Oddity::Shift) => format!("{metric} has settled at a new level: {value}"),
        Some(Oddity::Residual) => format!("{metric} {value} does not follow from the readings before"),
        Some(Oddity::Density) => format!("{metric} {value} hardly ever occurs at this time of day"),
        Some(Oddity::Markov) => format!("{metric} {value} hardly ever follows the reading before"),
        Some(Oddity::Stuck) => {
            format!("{metric} has been exactly {value} for {}", how_long(around.unchanged))
        }
        Some(Oddity::Sentinel) => {
            format!("{metric} {value} is what a broken or unplugged sensor shows")
        }
        Some(Oddity::Noise) => format!("{metric} scatters far more than before, now {value}"),
        Some(Oddity::Drift) => match around.zone {
            Some(zone) => format!("{metric} {value} drifts away from its neighbours in {zone}"),
            None => format!("{metric} {value} drifts away from its neighbours"),
        },
        Some(Oddity::Combination) => combination_of(&format!("{metric} {value}")),
    };
    if let Some((low, high)) = seen.expected {
        let whose = if seen.oddity == Some(Oddity::Drift) { "they would have it at" } else { "usually" };
        let _ = write!(text, "; {whose} {} to {}", number(low, 4), number(high, 4));
    }
    name_detector(text, seen.oddity)
}

fn name_detector(mut text: String, oddity: Option<Oddity>) -> String {
    if let Some(oddity) = oddity {
        let _ = write!(text, " ({})", oddity.as_str());
    }
    text
}

/// Of a device as a whole; `values` are the ones that make it odd, or empty.
pub(crate) fn combination(values: &str) -> String {
    name_detector(combination_of(values), Some(Oddity::Combination))
}

fn combination_of(values: &str) -> String {
    const ODD: &str = "each value is ordinary, their combination is not";
    if values.is_empty() { ODD.to_owned() } else { format!("{values}: {ODD}") }
}

pub(crate) fn combination_over() -> String {
    "the combination of values is as usual again".to_owned()
}

pub(crate) fn acknowledged(hold: Duration) -> String {
    format!("acknowledged; not told again for {} unless it gets clearly worse", duration(hold))
}

/// `has_settled`: an odd value is over because it stayed.
pub(crate) fn cleared(metric: &str, held: &Held, has_settled: bool, when: &Conditions) -> String {
    let value = number(held.amount, 6);
    let within = duration(when.within);
    match held.cause {
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
            format!("{metric} {value} has stayed so for an hour and is no longer news")
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

/// What an earlier version saw is not known.
fn how_long(unchanged: Duration) -> String {
    if unchanged < Duration::from_secs(60) { "unusually long".to_owned() } else { roughly(unchanged) }
}

/// In the unit of which there are at least two, cut: `5h`, `47m`; people read it, nobody calculates with it.
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
    fn every_oddity_has_its_sentence_with_value_range_and_detector() {
        let around = Around {
            name: "temperature",
            zone: Some("floor-1"),
            unchanged: Duration::from_secs(5 * 3600 + 1700),
        };
        let told = |oddity, expected| {
            anomaly(&around, "31.2", &Seen { value: Some(31.2), score: 0.8, expected, oddity })
        };
        let range = Some((20.123, 22.444));
        for (oddity, text) in [
            (Oddity::Profile, "temperature 31.2 is unusual for this time of day"),
            (Oddity::Shift, "temperature has settled at a new level: 31.2"),
            (Oddity::Residual, "temperature 31.2 does not follow from the readings before"),
            (Oddity::Density, "temperature 31.2 hardly ever occurs at this time of day"),
            (Oddity::Markov, "temperature 31.2 hardly ever follows the reading before"),
            (Oddity::Stuck, "temperature has been exactly 31.2 for 5h"),
            (Oddity::Sentinel, "temperature 31.2 is what a broken or unplugged sensor shows"),
            (Oddity::Noise, "temperature scatters far more than before, now 31.2"),
            (Oddity::Drift, "temperature 31.2 drifts away from its neighbours in floor-1"),
            (Oddity::Combination, "temperature 31.2: each value is ordinary, their combination is not"),
        ] {
            let detector = oddity.as_str();
            assert_eq!(told(Some(oddity), None), format!("{text} ({detector})"));
            let whose = if oddity == Oddity::Drift { "they would have it at" } else { "usually" };
            let with_range = format!("{text}; {whose} 20.12 to 22.44 ({detector})");
            assert_eq!(told(Some(oddity), range), with_range);
        }
        assert_eq!(told(None, range), "temperature 31.2 is unusual; usually 20.12 to 22.44");
    }

    #[test]
    fn stretches_of_time_are_cut_to_what_people_say() {
        let said = |secs| roughly(Duration::from_secs(secs));
        assert_eq!([said(0), said(119), said(120), said(7199)], ["0s", "119s", "2m", "119m"]);
        assert_eq!([said(7200), said(100_000), said(172_800)], ["2h", "27h", "2d"]);
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
