//! From what the configuration says to what runs: settings of the engine, codecs, devices, adapters, brokers.
//!
//! Everything here is a plain translation of a configuration that has been checked; nothing is started.

mod actions;
mod adapters;
pub(crate) mod ble;
mod broker;
mod coap;
mod coap_client;
mod codec_table;
mod link;
mod lorawan;

use std::path::{Path, PathBuf};

pub(crate) use self::adapters::{Around, Embedded, adapters, wanted};
pub(crate) use self::broker::broker;
pub(crate) use self::coap_client::server_url;
pub(crate) use self::codec_table::CodecTable;
pub(crate) use self::link::upstream_link;

use lorawan_link::Eui;

use crate::config::model::{Alert, Config, UnknownDevices};
use pipeline::Reconfiguration;
use pipeline::decode::directory::{DeviceRules, Directory};
use pipeline::engine::Settings;
use pipeline::engine::judging::Judging;

/// A configuration that passed its checks and still cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub(crate) struct BuildError {
    pub(crate) key: String,
    pub(crate) reason: String,
}

fn failed(key: impl Into<String>, error: &dyn std::error::Error) -> BuildError {
    BuildError { key: key.into(), reason: gateway_core::chain(error) }
}

/// Where the outbox's file lies.
pub(crate) fn outbox_path(data_dir: &Path) -> PathBuf {
    data_dir.join("outbox.db")
}

/// What decides how readings are judged.
pub(crate) fn settings(config: &Config) -> Settings {
    let aggregate = &config.aggregate;
    Settings {
        windows: aggregator::Settings {
            length: aggregate.window.0,
            every: aggregate.every().0,
            lateness: aggregate.lateness.0,
            correct_for: aggregate.correct_for.0,
            max_future: aggregate.max_future.0,
            percentiles: aggregate.percentiles.clone(),
            by_zone: aggregate.by_zone,
        }
        .within_limits(),
        kinds: aggregate.metrics.iter().map(|(name, metric)| (name.clone(), metric.kind)).collect(),
        zones: config
            .devices
            .iter()
            .filter_map(|(name, device)| Some((name.clone(), device.zone.clone()?)))
            .collect(),
        rules: rules(config),
        upstream: config.upstream.is_some(),
        judging: judging(config),
    }
}

fn judging(config: &Config) -> Option<Judging> {
    config.anomaly.enabled.then(|| Judging {
        timezone: config.gateway.timezone().into(),
        hold: config.anomaly.hold.0,
        max_series: config.anomaly.max_series,
    })
}

fn rules(config: &Config) -> Vec<alerts::Rule> {
    let written = config.alerts.iter().map(|(name, alert)| alerts::Rule::try_from(rule(name, alert)));
    let built_in = config.anomaly.enabled.then(|| alerts::Rule::anomaly(config.anomaly.threshold));
    let mut rules = Vec::new();
    for rule in written.chain(built_in) {
        match rule {
            Ok(rule) => rules.push(rule),
            // `check` has refused such a rule before anything was built.
            Err(problem) => tracing::error!("{problem}; this rule is left out"),
        }
    }
    rules
}

/// An `[alerts.*]` table in the words of the crate that judges.
pub(crate) fn rule(name: &str, alert: &Alert) -> alerts::RuleSpec {
    alerts::RuleSpec {
        name: name.into(),
        metric: alert.metric.clone(),
        when: alerts::Conditions {
            above: alert.above,
            below: alert.below,
            rises_by: alert.rises_by,
            falls_by: alert.falls_by,
            within: alert.within.unwrap_or_default().0,
            silent_for: alert.silent_for.map(|duration| duration.0),
            anomaly: alert.anomaly,
        },
        hold_for: alert.r#for.0,
        clear_by: alert.clear_by,
        severity: alert.severity,
        devices: alert.devices.clone(),
        zones: alert.zones.clone(),
    }
}

/// What a reload hands to the pipeline.
pub(crate) fn reconfiguration(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<Reconfiguration, BuildError> {
    codecs.set_keys(ble::keys(config)?);
    Ok(Reconfiguration {
        settings: settings(config),
        directory: directory(config, codecs)?,
        actions: actions::actions(config, codecs)?,
        codecs: codecs.all(),
        models: crate::models::load(&config.gateway.data_dir),
    })
}

fn directory(config: &Config, codecs: &mut CodecTable) -> Result<Directory, BuildError> {
    let timezone = config.gateway.timezone.as_deref();
    let mut devices = Vec::new();
    for (name, device) in &config.devices {
        let codec = device.codec.as_deref().map(|codec| codecs.of_device(codec, timezone)).transpose()?;
        let calibrate =
            device.calibrate.iter().map(|(metric, by)| (metric.clone(), (by.scale, by.offset))).collect();
        let address = device.address.clone().unwrap_or_else(|| name.clone());
        let rules = DeviceRules { name: name.clone(), codec, rename: device.rename.clone(), calibrate };
        if let Some(lorawan) = &device.lorawan
            && let Ok(dev_eui) = lorawan.dev_eui.parse::<Eui>()
        {
            devices.push((dev_eui.to_string(), rules.clone()));
        }
        devices.push((address, rules));
    }
    let accept = config.gateway.unknown_devices == UnknownDevices::Accept;
    Ok(Directory::new(devices, accept, config.gateway.max_devices))
}

/// How the outbox is kept.
pub(crate) fn outbox_options(config: &sinks::upstream_mqtt::config::Outbox) -> outbox::Options {
    use sinks::upstream_mqtt::config::WhenFull;
    outbox::Options {
        max_bytes: config.max_size.0,
        when_full: match config.when_full {
            WhenFull::DropOldest => outbox::WhenFull::DropOldest,
            WhenFull::DropNewest => outbox::WhenFull::DropNewest,
        },
        spill_after: config.spill_after.0,
    }
}
