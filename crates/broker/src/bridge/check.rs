//! Checks `[broker.bridges.*]`.

use gateway_core::Timestamp;
use gateway_core::findings::{KeyPath, Report, one_line};
use mqtt_link::Protocol;
use mqtt_link::settings::LinkSettings;

use super::config::{Bridge, BridgeTopic};
use super::topics;
use crate::validate_filter;

/// Reports everything that is wrong with the bridge in `table`; `now` is for dates in certificates.
pub(crate) fn check(report: &mut Report, table: &KeyPath, bridge: &Bridge, now: Timestamp) {
    if bridge.url.is_empty() {
        let why = "missing; write the other broker's address, such as \"mqtts://campus.example.com:8883\"";
        report.missing(table, "url", why);
    } else {
        mqtt_link::settings::check(report, table, &link(bridge), now);
    }
    if !(1 << 10..=1 << 30).contains(&bridge.max_queue_size.0) {
        let why = "is out of range; allowed: from \"1KiB\" to \"1GiB\"";
        report.error(&table.key("max_queue_size"), why);
    }
    if bridge.topics.is_empty() {
        let why = "missing: nothing is exchanged; write it, such as topics = [{ filter = \"sensors/#\" }]";
        report.missing(table, "topics", why);
    }
    for (i, topic) in bridge.topics.iter().enumerate() {
        check_topic(report, &table.key("topics").index(i), topic);
    }
    if bridge.protocol == Protocol::V311
        && let Some(filter) = topics::echo(bridge)
    {
        let why = format!(
            "the subscription to {filter} brings back what the bridge publishes there; only protocol = \"5\" prevents that"
        );
        report.error(&table.key("topics"), one_line(&why));
    }
}

/// Warns if the other broker is not reachable now. May take some seconds.
pub(crate) fn probe(report: &mut Report, table: &KeyPath, bridge: &Bridge) {
    mqtt_link::settings::probe(report, &table.key("url"), &bridge.url);
}

fn link(bridge: &Bridge) -> LinkSettings<'_> {
    LinkSettings {
        url: &bridge.url,
        username: bridge.username.as_deref(),
        password: bridge.password.as_ref(),
        has_password_file: bridge.password_file.is_some(),
        ca_file: bridge.ca_file.as_deref(),
        cert_file: bridge.cert_file.as_deref(),
        key_file: bridge.key_file.as_deref(),
        keep_alive: bridge.keep_alive,
    }
}

fn check_topic(report: &mut Report, table: &KeyPath, topic: &BridgeTopic) {
    for (key, prefix) in [("local_prefix", &topic.local_prefix), ("remote_prefix", &topic.remote_prefix)] {
        if prefix.contains(['+', '#', '\0']) {
            report.error(&table.key(key), "has a wildcard; only `filter` may have one");
            return;
        }
        if !topic.filter.is_empty() && !prefix.is_empty() && !prefix.ends_with('/') {
            report.warning(
                &table.key(key),
                one_line(&format!("does not end with /: topics begin with {prefix}{}", topic.filter)),
            );
        }
        // A shared subscription or the broker's own figures are no topics that both brokers have.
        if let Err(error) = validate_filter(&format!("{prefix}{}", topic.filter)) {
            let key = if topic.filter.is_empty() { key } else { "filter" };
            report.error(&table.key(key), one_line(&error.to_string()));
            return;
        }
    }
}
