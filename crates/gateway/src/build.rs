//! From what the configuration says to what runs: settings of the engine, codecs, devices, adapters, brokers.
//!
//! Everything here is a plain translation of a configuration that has been checked; nothing is started.

mod adapters;
mod broker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codecs::CodecTable;
use gateway_config::{Config, UnknownDevices, rule};
use gateway_core::Services;
use gateway_core::ports::Clock;
use gateway_core::settings::BuildError;

pub(crate) use self::adapters::{Embedded, adapters, wanted};
pub(crate) use self::broker::broker;

use crate::upstream::Upstream;
use outbox::{PerLane, SinkOptions, Start};
use pipeline::Reconfiguration;
use pipeline::clock::SystemClock;
use pipeline::decode::directory::{DeviceRules, Directory};
use pipeline::deliver::actions::{Action, On};
use pipeline::engine::Settings;
use pipeline::engine::judging::Judging;
use pipeline::observe::audit::SinkErrors;
use pipeline::training::local_history;
use pipeline::training::models::{self, Kinds};
use pipeline::training::retrain::Plan;
use sinks::Blueprint;
use sinks::runner::RunningSink;

/// The outbox's directory.
pub(crate) fn outbox_path(data_dir: &Path) -> PathBuf {
    data_dir.join("outbox")
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
        kinds: kinds(config),
        zones: config
            .devices
            .iter()
            .filter_map(|(name, device)| Some((name.clone(), device.zone.clone()?)))
            .collect(),
        rules: rules(config),
        upstream: takes_aggregates(config),
        judging: judging(config),
    }
}

/// The configured kinds of metrics.
pub(crate) fn kinds(config: &Config) -> Kinds {
    config.aggregate.metrics.iter().map(|(name, metric)| (name.clone(), metric.kind)).collect()
}

/// How the local history is kept; none where there is to be none.
pub(crate) fn history_options(config: &Config) -> Option<history::Options> {
    let settings = config.history.as_ref().filter(|history| !history.keep.0.is_zero())?;
    let path = local_history::path(&config.gateway.data_dir);
    Some(history::Options {
        path,
        keep: settings.keep.0,
        keep_hours: settings.keep_hours.0,
        keep_days: settings.keep_days.0,
        readings: settings.readings.0,
        max_bytes: settings.max_size.0,
    })
}

/// Whether the local history keeps single readings.
pub(crate) fn history_takes_readings(config: &Config) -> bool {
    history_options(config).is_some_and(|options| !options.readings.is_zero())
}

/// When devices are trained again.
pub(crate) fn training_plan(config: &Config) -> Plan {
    let retrain = config.anomaly.retrain.0;
    let wanted = config.anomaly.enabled && !retrain.is_zero();
    Plan { retrain: wanted.then_some(retrain), kinds: kinds(config) }
}

const _: () = assert!(gateway_config::MAX_PERCENTILES == aggregator::MAX_PERCENTILES);

fn judging(config: &Config) -> Option<Judging> {
    config.anomaly.enabled.then(|| Judging {
        timezone: config.gateway.timezone().into(),
        hold: config.anomaly.hold.0,
        max_series: config.anomaly.max_series,
    })
}

fn rules(config: &Config) -> Vec<alerts::Rule> {
    let timezone = config.gateway.timezone();
    let written =
        config.alerts.iter().map(|(name, alert)| alerts::Rule::try_from(rule(name, alert, &timezone)));
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

/// What a reload hands to the pipeline.
pub(crate) fn reconfiguration(
    config: &Config,
    codecs: &mut CodecTable,
    services: &Services,
) -> Result<Reconfiguration, BuildError> {
    Ok(Reconfiguration {
        settings: settings(config),
        directory: directory(config, codecs)?,
        actions: actions(config, codecs, services)?,
        codecs: codecs.all(),
        models: models::load(&config.gateway.data_dir),
    })
}

/// Rule -> its actions.
fn actions(
    config: &Config,
    codecs: &mut CodecTable,
    services: &Services,
) -> Result<BTreeMap<String, Vec<Action>>, BuildError> {
    self::adapters::with_context(config, codecs, services, |context| {
        self::adapters::prepare(config, context)?;
        let mut by_rule = BTreeMap::new();
        for (name, alert) in &config.alerts {
            let mut actions = Vec::new();
            for action in &alert.actions {
                let Some(kind) = config.adapters.kind_of(&action.adapter) else { continue };
                let message = kind.message(action.raw(), context)?;
                // `check` has refused an action that goes nowhere.
                let on = match action.on {
                    gateway_config::On::Raised => On::Raised,
                    gateway_config::On::Cleared => On::Cleared,
                    gateway_config::On::Both => On::Both,
                };
                let (adapter, deadline) = (action.adapter.clone(), action.deadline.0);
                actions.extend(message.map(|message| Action { adapter, on, message, deadline }));
            }
            by_rule.insert(name.clone(), actions);
        }
        Ok(by_rule)
    })
}

fn directory(config: &Config, codecs: &mut CodecTable) -> Result<Directory, BuildError> {
    let timezone = config.gateway.timezone.as_deref();
    let mut devices = Vec::new();
    for (name, device) in &config.devices {
        let codec = match &device.node_key {
            Some(key) => Some(codecs.sealed_node(key.expose())?),
            None => device.codec.as_deref().map(|codec| codecs.of_device(codec, timezone)).transpose()?,
        };
        let calibrate =
            device.calibrate.iter().map(|(metric, by)| (metric.clone(), (by.scale, by.offset))).collect();
        let address = device.address.clone().unwrap_or_else(|| name.clone());
        let rules = DeviceRules { name: name.clone(), codec, rename: device.rename.clone(), calibrate };
        devices.push((address, rules));
    }
    let by_kinds = config.adapters.kinds().flat_map(|kind| kind.addresses()).collect::<Vec<_>>();
    for (address, name) in by_kinds {
        let rules = devices.iter().find(|(_, rules)| rules.name == name).map(|(_, rules)| rules.clone());
        devices.extend(rules.map(|rules| (address, rules)));
    }
    let accept = config.gateway.unknown_devices == UnknownDevices::Accept;
    Ok(Directory::new(devices, accept, config.gateway.max_devices))
}

/// How the outbox is kept: as `[upstream.outbox]` says, which is the default where there is no `[upstream]`.
pub(crate) fn outbox_options(config: &Config) -> outbox::Options {
    use sinks::upstream::config::WhenFull;
    let outbox = config.upstream.as_ref().map(|upstream| upstream.outbox.clone()).unwrap_or_default();
    outbox::Options {
        max_bytes: outbox.max_size.0,
        when_full: match outbox.when_full {
            WhenFull::DropOldest => outbox::WhenFull::DropOldest,
            WhenFull::DropNewest => outbox::WhenFull::DropNewest,
        },
        // With a journal, entries are made again from it after a crash.
        producer_repeats: config.journal.enabled,
        spill_after: outbox.spill_after.0,
    }
}

/// Whether any sink takes aggregates.
fn takes_aggregates(config: &Config) -> bool {
    sinks(config).iter().any(|sink| sink.lanes.aggregates)
}

/// Whether any sink takes readings.
pub(crate) fn takes_readings(config: &Config) -> bool {
    sinks(config).iter().any(|sink| sink.lanes.readings)
}

/// The sink whose counters the ledger shows: that of `[upstream]`, or the first that takes aggregates.
pub(crate) fn ledger_sink(config: &Config) -> Arc<str> {
    let sinks = sinks(config);
    let sink = sinks.iter().find(|sink| sink.lanes.aggregates);
    sink.map_or_else(|| sinks::upstream::NAME.into(), |sink| Arc::clone(&sink.name))
}

/// Starts the sinks beside the upstream's.
pub(crate) fn start_sinks(
    config: &Config,
    outbox: Option<&outbox::Handle>,
) -> Result<Vec<RunningSink>, BuildError> {
    let Some(outbox) = outbox else { return Ok(Vec::new()) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut running = Vec::new();
    for kind in config.sinks.kinds() {
        for Blueprint { name, lanes, limits, sink } in kind.build(&clock)? {
            let handle = outbox.sink(name.as_str());
            running.push(RunningSink::start(&name, sink, limits, lanes, handle, Arc::clone(&clock)));
        }
    }
    Ok(running)
}

/// Why a sink cannot write now.
pub(crate) fn sink_errors(upstream: Option<&Upstream>, sinks: &[RunningSink]) -> SinkErrors {
    let upstream = upstream.map(Upstream::handle);
    let others: Vec<_> = sinks.iter().map(|sink| (sink.name().to_owned(), sink.state())).collect();
    Arc::new(move |name| {
        if name == sinks::upstream::NAME {
            return upstream.as_ref()?.error();
        }
        let (_, state) = others.iter().find(|(other, _)| other == name)?;
        state.borrow().last_error.clone()
    })
}

/// The sinks, and what they take.
pub(crate) fn sinks(config: &Config) -> Vec<SinkOptions> {
    let upstream = config.upstream.as_ref().map(|_| SinkOptions {
        name: sinks::upstream::NAME.into(),
        lanes: PerLane { alerts: true, aggregates: true, readings: false },
        start: Start::Now,
    });
    upstream.into_iter().chain(config.sinks.options()).collect()
}
