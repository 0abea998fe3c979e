//! `[alerts.*]`: rules that can fire, and actions that can go somewhere.

use globset::Glob;

use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::{Action, Alert, Config};
use crate::config::report::Report;
use crate::config::suggest::did_you_mean;

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
    let names = config.adapters.mqtt.keys().map(|name| format!("mqtt.{name}")).collect::<Vec<_>>();
    if !names.contains(&action.adapter) && report.is_whole(&KeyPath::of("adapters")) {
        let meant = did_you_mean(&action.adapter, names.iter().map(String::as_str));
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        report.error(
            &table.key("adapter"),
            format!("there is no adapter {}; there are: {list}{meant}", quoted(&action.adapter)),
        );
    }
    let topic = &action.topic;
    if topic.is_empty() || topic.contains(['+', '#']) || topic.contains(char::is_control) {
        report.error(
            &table.key("topic"),
            "is no topic to publish to; write one without +, # and control characters",
        );
    }
}
