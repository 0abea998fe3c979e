//! `[gateway]`: its names become topic levels upstream.

use std::time::Duration;

use crate::model::{Gateway, is_id_char};
use gateway_core::findings::{KeyPath, Report, quoted};

/// Both are part of every topic and of client ids, whose length is limited.
const MAX_ID_BYTES: usize = 64;
const MAX_PREFIX_BYTES: usize = 256;
const SHORTEST_HEALTH_EVERY: Duration = Duration::from_secs(1);
/// Programs that watch a gateway rely on `health` once a minute.
const LONGEST_HEALTH_EVERY: Duration = Duration::from_secs(60);

pub(super) fn check(report: &mut Report, gateway: &Gateway) {
    let table = KeyPath::of("gateway");
    if let Some(id) = &gateway.id {
        check_id(report, &table.key("id"), id);
    }
    check_prefix(report, &table.key("prefix"), &gateway.prefix);
    if let Some(zone) = &gateway.timezone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        report.error(
            &table.key("timezone"),
            format!("{} is not a time zone; write one such as \"Europe/Paris\" or \"UTC\"", quoted(zone)),
        );
    }
    if gateway.data_dir.as_os_str().is_empty() {
        report.error(&table.key("data_dir"), "is empty; write a directory such as \"/var/lib/riser\"");
    }
    if !(SHORTEST_HEALTH_EVERY..=LONGEST_HEALTH_EVERY).contains(&gateway.health_every.0) {
        report.error(&table.key("health_every"), "is out of range; allowed: from \"1s\" to \"60s\"");
    }
}

fn check_id(report: &mut Report, key: &KeyPath, id: &str) {
    if id.is_empty() || !id.chars().all(is_id_char) {
        report.error(key, format!("{} is not an id; write letters, digits, - and _", quoted(id)));
    } else if id.len() > MAX_ID_BYTES {
        report.error(key, format!("has {} characters; write at most {MAX_ID_BYTES}", id.len()));
    }
}

fn check_prefix(report: &mut Report, key: &KeyPath, prefix: &str) {
    let problem = if prefix.is_empty() {
        "is empty"
    } else if prefix.contains(['+', '#']) || prefix.contains(char::is_control) {
        "holds +, # or a control character, which no topic to publish to can have"
    } else if prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains("//") {
        "has an empty topic level"
    } else if prefix.starts_with('$') {
        "begins with $, which belongs to brokers"
    } else if prefix.len() > MAX_PREFIX_BYTES {
        return report.error(key, format!("has {} bytes; write at most {MAX_PREFIX_BYTES}", prefix.len()));
    } else {
        return;
    };
    report.error(key, format!("{problem}; write one or more topic levels such as \"building\""));
}
