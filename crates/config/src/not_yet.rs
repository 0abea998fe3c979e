//! What Riser's documents promise and this version does not have: a clearer message than "unknown key".
//!
//! A line here goes when its feature comes.

use gateway_core::findings::KeyPath;

/// Tables and keys; `*` is any name.
const KEYS: &[(&str, &str, &str)] = &[
    ("devices.*.commands", "commands to devices (`commands`)", "actions of [alerts.*] send commands"),
    ("sinks.mongodb", "MongoDB sink (`mongodb`)", "it has: influxdb"),
    ("sinks.postgres", "PostgreSQL sink (`postgres`)", "it has: influxdb"),
    ("sinks.nats", "NATS sink (`nats`)", "it has: influxdb"),
    ("sinks.kafka", "Kafka sink (`kafka`)", "it has: influxdb"),
    ("sinks.http", "HTTP sink (`http`)", "it has: influxdb"),
    ("sinks.file", "file sink (`file`)", "it has: influxdb"),
    ("sinks.display", "display sink (`display`)", "it has: influxdb"),
    ("http", "dashboard or API (`http`)", "`riser tail` follows a running gateway"),
];

/// Values of keys; `*` is any name.
const VALUES: &[(&str, &str, &str)] =
    &[("upstream.format", "senml", "it has: json"), ("upstream.format", "sparkplug", "it has: json")];

/// The message for a key that is promised and not there yet.
pub(crate) fn key(path: &KeyPath) -> Option<String> {
    let (_, what, instead) = KEYS.iter().find(|(pattern, ..)| path.matches(pattern))?;
    Some(format!("this version of riser has no {what} yet; {instead}"))
}

/// The message for a value that is promised and not there yet.
pub(crate) fn value(path: &KeyPath, value: &str) -> Option<String> {
    let (_, what, instead) =
        VALUES.iter().find(|(pattern, word, _)| *word == value && path.matches(pattern))?;
    Some(format!("this version of riser has no `{what}` yet; {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_there_instead() {
        assert!(key(&KeyPath::of("devices.lounge.commands")).is_some());
        assert!(key(&KeyPath::of("adapters.other")).is_none());
        assert!(value(&KeyPath::of("upstream.format"), "senml").is_some());
        assert!(value(&KeyPath::of("upstream.format"), "json").is_none());
    }
}
