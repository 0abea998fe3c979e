//! `[alerts.*]`: rules that can fire, and actions that can go somewhere.

use gateway_core::suggest::did_you_mean;
use globset::Glob;

use super::coap_client::check_url;
use super::downlinks;
use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::{Action, Alert, Config};
use crate::config::report::Report;

pub(super) fn check(report: &mut Report, config: &Config) {
    for (name, alert) in &config.alerts {
        let table = KeyPath::of("alerts").key(name);
        check_rule(report, &table, name, alert);
        if alert.anomaly.is_some() && !config.anomaly.enabled {
            report.error(&table.key("anomaly"), "cannot fire: [anomaly] has enabled = false");
        }
        for (i, action) in alert.actions.iter().enumerate() {
            check_action(report, &table.key("actions").index(i), action, config);
        }
    }
}

/// What the rule itself finds wrong; a key that is not there at all may be the misspelt one told already.
fn check_rule(report: &mut Report, table: &KeyPath, name: &str, alert: &Alert) {
    let is_set = |key: &KeyPath, report: &Report| report.is_written(key);
    for problem in crate::build::rule(name, alert).problems() {
        let key = table.key(problem.key);
        let reason = problem.reason.replace(char::is_control, "\u{fffd}");
        if is_set(&key, report) {
            report.error(&key, reason);
        } else {
            report.missing(table, problem.key, reason);
        }
    }
    for (key, globs) in [("devices", &alert.devices), ("zones", &alert.zones)] {
        for (i, glob) in globs.iter().enumerate() {
            if Glob::new(glob).is_err() {
                report
                    .error(&table.key(key).index(i), format!("{} is no pattern; use * and ?", quoted(glob)));
            }
        }
    }
}

fn check_action(report: &mut Report, table: &KeyPath, action: &Action, config: &Config) {
    let mqtt = config.adapters.mqtt.keys().map(|name| format!("mqtt.{name}"));
    let coap = config.adapters.coap.keys().map(|name| format!("coap.{name}"));
    let lorawan = config.adapters.lorawan.keys().map(|name| format!("lorawan.{name}"));
    let names = mqtt.chain(coap).chain(lorawan).collect::<Vec<_>>();
    if !names.contains(&action.adapter) && report.is_whole(&KeyPath::of("adapters")) {
        let meant = did_you_mean(&action.adapter, names.iter().map(String::as_str));
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        report.error(
            &table.key("adapter"),
            format!("there is no adapter {}; there are: {list}{meant}", quoted(&action.adapter)),
        );
    }
    match action.adapter.split_once('.') {
        Some(("coap", name)) => check_resource(report, table, action, name, config),
        Some(("lorawan", _)) => downlinks::check_ours(report, table, action, config),
        _ => match &action.device {
            Some(device) => downlinks::check_servers(report, table, action, device, config),
            None => check_topic(report, table, action),
        },
    }
}

/// Keys of a LoRaWAN adapter's action.
fn refuse_lorawan(report: &mut Report, table: &KeyPath, action: &Action) {
    let of_lorawan = [
        ("device", action.device.is_some()),
        ("port", action.port.is_some()),
        ("confirmed", action.confirmed.is_some()),
    ];
    for (key, _) in of_lorawan.into_iter().filter(|(_, written)| *written) {
        report.error(&table.key(key), "is for LoRaWAN devices");
    }
}

fn check_topic(report: &mut Report, table: &KeyPath, action: &Action) {
    refuse_lorawan(report, table, action);
    let of_coap = [
        ("url", action.url.is_some()),
        ("method", action.method.is_some()),
        ("format", action.format.is_some()),
    ];
    for (key, _) in of_coap.into_iter().filter(|(_, written)| *written) {
        report.error(&table.key(key), "is for CoAP adapters; this one sends to a `topic`");
    }
    let Some(topic) = &action.topic else {
        report.missing(table, "topic", "missing; write the topic to publish to");
        return;
    };
    if topic.is_empty() || topic.contains(['+', '#']) || topic.contains(char::is_control) {
        report.error(
            &table.key("topic"),
            "is no topic to publish to; write one without +, # and control characters",
        );
    }
}

fn check_resource(report: &mut Report, table: &KeyPath, action: &Action, adapter: &str, config: &Config) {
    refuse_lorawan(report, table, action);
    if action.topic.is_some() {
        report.error(&table.key("topic"), "is for MQTT adapters; this one sends to a `url`");
    }
    let Some(url) = &action.url else {
        report.missing(table, "url", "missing; write the resource, such as \"coap://10.0.0.9/relay\"");
        return;
    };
    if let Some(adapter) = config.adapters.coap.get(adapter) {
        check_url(report, &table.key("url"), url, adapter);
    }
}
