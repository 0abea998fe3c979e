//! What a configuration means, beyond what types can say: names, clashes, references, files. Many small checks, all of
//! which run, so that everything is reported at once. Nothing here opens a socket: see `machine`.

mod adapters;
mod aggregate;
mod anomaly;
mod devices;
mod gateway;
mod history;
mod rules;

use std::path::Path;

use gateway_core::Timestamp;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::listener::check_clashes;

use crate::model::Config;

/// Makes every path in `config` one from `directory`, and reads secrets from their files.
pub(crate) fn read_files(report: &mut Report, config: &mut Config, directory: &Path) {
    config.gateway.data_dir = directory.join(&config.gateway.data_dir);
    for codec in config.devices.values_mut().filter_map(|device| device.codec.as_mut()) {
        if codecs::Codec::is_file(codec) {
            *codec = directory.join(&*codec).display().to_string();
        }
    }
    let data_dir = config.gateway.data_dir.clone();
    let mut files = Files { directory, data_dir: &data_dir, report };
    for (name, device) in &mut config.devices {
        let table = KeyPath::of("devices").key(name);
        files.secret(&table, "node_key", &mut device.node_key, &mut device.node_key_file);
    }
    if let Some(upstream) = &mut config.upstream {
        sinks::upstream::check::read_files(upstream, &mut files);
    }
    for kind in config.adapters.kinds_mut() {
        kind.read_files(&mut files);
    }
    for kind in config.sinks.kinds_mut() {
        kind.read_files(&mut files);
    }
    if let Some(broker) = &mut config.broker {
        broker::check::read_files(broker, &mut files);
    }
    if let Some(http) = &mut config.http {
        gateway_http::check::read_files(http, &mut files);
    }
}

/// Reports everything that is wrong with `config`; `now` is for dates in certificates.
pub(crate) fn check(report: &mut Report, config: &Config, now: Timestamp) {
    gateway::check(report, &config.gateway);
    if let Some(upstream) = &config.upstream {
        sinks::upstream::check::check(report, upstream, config.journal.enabled, now);
    }
    if let Some(broker) = &config.broker {
        broker::check::check(report, broker, now);
    }
    let id = config.gateway.id();
    let site = config.site(&id, now);
    adapters::check(report, config);
    for kind in config.adapters.kinds() {
        kind.check(&site, report);
    }
    for kind in config.sinks.kinds() {
        kind.check(report);
    }
    check_clashes(report, &config.listeners());
    devices::check(report, config);
    aggregate::check(report, &config.aggregate);
    anomaly::check(report, &config.anomaly);
    rules::check(report, config, &site);
    history::check(report, config.history.as_ref());
    if let Some(http) = &config.http {
        gateway_http::check::check(report, http, now);
    }
}

/// Warns where `file`, the configuration itself, holds a secret and everybody can read it.
pub(crate) fn check_own_file(report: &mut Report, config: &Config, file: &Path) {
    if let Some(upstream) = &config.upstream {
        sinks::upstream::check::check_own_file(report, upstream, file);
    }
    for kind in config.adapters.kinds() {
        kind.check_own_file(file, report);
    }
    for kind in config.sinks.kinds() {
        kind.check_own_file(file, report);
    }
    if let Some(broker) = &config.broker {
        broker::check::check_own_file(report, broker, file);
    }
    if let Some(http) = &config.http {
        gateway_http::check::check_own_file(report, http, file);
    }
}
