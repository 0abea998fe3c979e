//! The configuration in words: what the page shows of devices and rules.

use std::collections::{BTreeMap, BTreeSet};

use gateway_config::{Alert, Config, SilentFor, StateValue, rule};
use gateway_http::site::{Rule, Site};

use super::Document;

/// What the page needs of the configuration.
pub(super) fn site(config: &Config, document: &Document) -> Site {
    Site {
        gateway: config.gateway.id(),
        window: i64::try_from(config.aggregate.window.0.as_millis()).unwrap_or(i64::MAX),
        timezone: config.gateway.timezone(),
        file: document.path().display().to_string(),
        toml: document.shown.clone(),
        findings: document.findings.clone(),
        named: named(config),
        rules: rules(config),
        codecs: codecs(config),
        upstream: config.upstream.as_ref().map(|upstream| without_password(&upstream.url)),
    }
}

fn named(config: &Config) -> BTreeMap<String, String> {
    let address = |name: &String, address: &Option<String>| address.clone().unwrap_or_else(|| name.clone());
    let configured =
        config.devices.iter().map(|(name, device)| (name.clone(), address(name, &device.address)));
    let mut named: BTreeMap<String, String> = configured.collect();
    // Such as a DevEUI, where `address` does not say it.
    for (address, name) in config.adapters.kinds().flat_map(|kind| kind.addresses()) {
        named.entry(name.clone()).and_modify(|known| {
            if *known == name {
                known.clone_from(&address);
            }
        });
    }
    named
}

fn rules(config: &Config) -> Vec<Rule> {
    let written = config.alerts.iter().filter_map(|(name, alert)| {
        let rule = alerts::Rule::try_from(rule(name, alert, &config.gateway.timezone())).ok()?;
        Some(Rule { name: name.clone(), text: text(alert), rule })
    });
    let built_in =
        config.anomaly.enabled.then(|| alerts::Rule::anomaly(config.anomaly.threshold).ok()).flatten();
    let threshold = config.anomaly.threshold;
    let built_in = built_in.map(|rule| Rule {
        name: "anomaly".to_owned(),
        text: format!("anomaly score {threshold} or above"),
        rule,
    });
    written.chain(built_in).collect()
}

/// One line, such as `temperature above 40, for 5m`.
fn text(alert: &Alert) -> String {
    let metric = alert.metric.as_deref().unwrap_or("any metric");
    let number = |words: &str, value: Option<f64>| value.map(|value| format!("{metric} {words} {value}"));
    let within = alert.within.map(|within| format!(" within {within}")).unwrap_or_default();
    let change = |words, value| number(words, value).map(|text| text + &within);
    let conditions = [
        number("above", alert.above),
        number("below", alert.below),
        change("rises by", alert.rises_by),
        change("falls by", alert.falls_by),
        number("is", alert.equals.map(StateValue::number)),
        alert.changes.then(|| format!("{metric} changes")),
        alert.when.clone(),
        alert.silent_for.map(|length| match length {
            SilentFor::Auto => "silent for three times the usual interval".to_owned(),
            SilentFor::After(length) => format!("silent for {length}"),
        }),
        number("anomaly score at or above", alert.anomaly),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let held = if alert.r#for.0.is_zero() { String::new() } else { format!(", for {}", alert.r#for) };
    format!("{}{held} ({})", conditions.join(" or "), alert.severity.as_str())
}

/// Built-in codecs that read one payload without more, and the files of devices.
fn codecs(config: &Config) -> Vec<String> {
    // `csv` needs columns, `gatt` an advertisement's service.
    let alone = codecs::Codec::NAMES.iter().filter(|name| !matches!(**name, "csv" | "gatt"));
    let built_in = alone.map(|name| (*name).to_owned());
    let files = config.devices.values().filter_map(|device| device.codec.clone());
    let all: BTreeSet<String> = built_in.chain(files).collect();
    all.into_iter().collect()
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::settings::HumanDuration;

    #[test]
    fn a_rule_is_one_line() {
        let alert = Alert {
            metric: Some("temperature".to_owned()),
            above: Some(40.0),
            rises_by: Some(3.0),
            within: Some(HumanDuration::from_secs(600)),
            r#for: HumanDuration::from_secs(300),
            ..Alert::default()
        };
        assert_eq!(
            text(&alert),
            "temperature above 40 or temperature rises by 3 within 10m, for 5m (warning)"
        );
    }

    #[test]
    fn an_address_shows_no_password() {
        assert_eq!(without_password("mqtts://u:geheim@cloud:8883/x"), "mqtts://cloud:8883/x");
        assert_eq!(without_password("mqtt://cloud"), "mqtt://cloud");
        assert_eq!(without_password("wss://cloud/mqtt?token=geheim"), "wss://cloud/mqtt");
    }
}
