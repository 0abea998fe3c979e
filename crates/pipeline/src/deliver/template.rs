//! Placeholders in what an action sends: `{device}`, `{zone}`, `{metric}`, `{value}`, `{limit}`, `{state}`, `{time}`.
//!
//! Only these words in braces are replaced: the braces of JSON stay as they are. In a payload that is JSON a text is escaped,
//! so that no name can end its quotes, and what an alert does not have is `null`; elsewhere it is nothing.

use gateway_core::{Alert, AlertState, topic};
use serde_json::Value;

use crate::engine::registry::Registry;

/// What an alert says, by placeholder.
#[derive(Debug, Clone)]
pub(super) struct Values([(&'static str, Value); 7]);

impl Values {
    pub(super) fn of(alert: &Alert, registry: &Registry) -> Self {
        let zone = registry.device(alert.device).and_then(|device| device.zone);
        let zone = zone.and_then(|zone| registry.zone_name(zone));
        let state = if alert.state == AlertState::Cleared { AlertState::Cleared } else { AlertState::Raised };
        Self([
            ("device", registry.device_name(alert.device).into()),
            ("zone", zone.into()),
            ("metric", alert.metric.map(|metric| registry.metric_name(metric)).into()),
            ("value", alert.value.into()),
            ("limit", alert.limit.into()),
            ("state", state.as_str().into()),
            ("time", alert.at.to_string().into()),
        ])
    }

    /// A payload.
    pub(super) fn fill_payload(&self, text: &str) -> String {
        let is_json = is_json(text.trim_start());
        self.fill(text, |value| match value {
            Value::Null if is_json => "null".to_owned(),
            Value::String(text) if is_json => {
                let quoted = Value::from(text.as_str()).to_string();
                quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
            }
            other => plain(other),
        })
    }

    /// A topic: no name ends its level but by its own `/`.
    pub(super) fn fill_topic(&self, text: &str) -> String {
        self.fill(text, |value| topic::levels(&plain(value)).into_owned())
    }

    fn fill(&self, text: &str, write: impl Fn(&Value) -> String) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let found = self.0.iter().find_map(|(name, value)| {
                let behind = after.strip_prefix(name)?.strip_prefix('}')?;
                Some((value, behind))
            });
            match found {
                Some((value, behind)) => {
                    filled.push_str(&write(value));
                    rest = behind;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// Whether it begins as an array, or as an object: a text may begin with a placeholder.
fn is_json(text: &str) -> bool {
    let inside = text.strip_prefix('{').map(str::trim_start);
    text.starts_with('[') || inside.is_some_and(|inside| inside.starts_with(['"', '}']))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values([
            ("device", "say \"hi\"".into()),
            ("zone", "floor-1/lounge".into()),
            ("metric", "co2".into()),
            ("value", 1200.5.into()),
            ("limit", Value::Null),
            ("state", "raised".into()),
            ("time", "2026-11-20T10:00:00.000Z".into()),
        ])
    }

    #[test]
    fn only_known_words_are_replaced_and_text_cannot_break_out() {
        for (template, filled) in [
            (r#"{"fan_mode":"high"}"#, r#"{"fan_mode":"high"}"#),
            (r#"{"who":"{device}","v":{value},"l":{limit}}"#, r#"{"who":"say \"hi\"","v":1200.5,"l":null}"#),
            ("{metric} {value} {limit}. {unknown} {", "co2 1200.5 . {unknown} {"),
            ("{{state}}", "{raised}"),
            ("ON", "ON"),
        ] {
            assert_eq!(values().fill_payload(template), filled, "{template}");
        }
        assert_eq!(values().fill_topic("x/{zone}/{metric}/set"), "x/floor-1/lounge/co2/set");
    }
}
