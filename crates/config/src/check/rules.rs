//! `[alerts.*]`: rules that can fire, and actions that can go somewhere.

use adapters::site::Site;
use gateway_core::findings::{KeyPath, Report, quoted};
use gateway_core::suggest::did_you_mean;
use globset::Glob;

use crate::model::{Action, Alert, Config};

pub(super) fn check(report: &mut Report, config: &Config, site: &Site<'_>) {
    for (name, alert) in &config.alerts {
        let table = KeyPath::of("alerts").key(name);
        check_rule(report, &table, name, alert, &config.gateway.timezone());
        if alert.anomaly.is_some() && !config.anomaly.enabled {
            report.error(&table.key("anomaly"), "cannot fire: [anomaly] has enabled = false");
        }
        for (i, action) in alert.actions.iter().enumerate() {
            check_action(report, &table.key("actions").index(i), action, config, site);
        }
    }
}

/// What the rule itself finds wrong; a key that is not there at all may be the misspelt one that was reported already.
fn check_rule(report: &mut Report, table: &KeyPath, name: &str, alert: &Alert, timezone: &str) {
    let is_set = |key: &KeyPath, report: &Report| report.is_written(key);
    let rule = crate::rules::rule(name, alert, timezone);
    for (key, reason) in rule.doubts() {
        report.warning(&table.key(key), reason);
    }
    if let Some(Err(reason)) = alert.between.as_deref().map(|text| alerts::Hours::parse(text, timezone)) {
        report.error(&table.key("between"), reason);
    }
    for problem in rule.problems() {
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

fn check_action(report: &mut Report, path: &KeyPath, action: &Action, config: &Config, site: &Site<'_>) {
    let names = config.adapters.ids();
    if !names.contains(&action.adapter) && report.is_whole(&KeyPath::of("adapters")) {
        let meant = did_you_mean(&action.adapter, names.iter().map(String::as_str));
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let adapter = quoted(&action.adapter);
        report
            .error(&path.key("adapter"), format!("there is no adapter {adapter}; there are: {list}{meant}"));
    }
    if let Some(kind) = config.adapters.kind_of(&action.adapter) {
        kind.check_action(path, action.raw(), site, report);
    }
}
