//! What the machine lacks for a configuration that is right: a free port, a broker in reach, a clock that is set.
//! All of it may be there later, so all of it is a warning. Only `riser check` asks.

mod data_dir;
mod holder;
mod services;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::thread;

use gateway_core::Timestamp;
use gateway_core::findings::{Finding, Findings, KeyPath, Report};
use gateway_core::listener::{Listener, Transport};
use rustix::process::{Resource, getrlimit};

use super::load::Loaded;
use super::model::{Anomaly, Config};

/// Files, sockets and pipes beside the connections of devices and browsers.
const OTHER_FILES: u64 = 128;
/// What an anomaly model takes at most.
const MODEL_BYTES: u64 = 16 << 10;

/// Tries what `loaded` will need. Takes as long as the slowest of the peers that the configuration names.
pub fn probe(loaded: &Loaded, now: Timestamp) -> Findings {
    let mut report = loaded.report.clone();
    report.findings.clear();
    probe_clock(&mut report, now);
    services::probe_time_service(&mut report, Path::new("/"));
    data_dir::probe(&mut report, loaded);
    probe_listeners(&mut report, &loaded.config);
    services::probe_firewall(&mut report, loaded, Path::new("/"));
    probe_peers(&mut report, &loaded.config);
    let limit = getrlimit(Resource::Nofile).maximum;
    probe_files(&mut report, &loaded.config, limit.unwrap_or(u64::MAX));
    if let Some(memory) = memory() {
        probe_memory(&mut report, &loaded.config.anomaly, memory);
    }
    Findings::new(&loaded.path.display().to_string(), report.findings)
}

fn probe_clock(report: &mut Report, now: Timestamp) {
    if now < Timestamp::PLAUSIBLE {
        report.warning(
            &KeyPath::root(),
            format!(
                "the clock shows {now} and has not been set; start a time service such as systemd-timesyncd"
            ),
        );
    }
}

fn probe_listeners(report: &mut Report, config: &Config) {
    for Listener { key, transport, address } in config.listeners() {
        let error = match transport {
            Transport::Tcp => TcpListener::bind(address).err(),
            Transport::Udp => UdpSocket::bind(address).err(),
        };
        // Beside a running gateway, its own ports are taken, as they should be.
        let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let is_own = error.as_ref().is_some_and(is_taken)
            && holder::is_held_by_gateway(&config.gateway.data_dir, transport, address.port());
        report_listener(report, &key, address, error.filter(|_| !is_own));
    }
}

/// Asks brokers, radios and ports that the configuration names, all at once: those that are out of reach take their time.
fn probe_peers(report: &mut Report, config: &Config) {
    let found = thread::scope(|scope| {
        let report = &*report;
        let upstream = config.upstream.iter().map(|upstream| {
            scope.spawn(move || found_by(report, |report| sinks::upstream::check::probe(report, upstream)))
        });
        let kinds = config
            .adapters
            .kinds()
            .map(|kind| scope.spawn(move || found_by(report, |report| kind.probe(report))));
        let sinks = config
            .sinks
            .kinds()
            .map(|kind| scope.spawn(move || found_by(report, |report| kind.probe(report))));
        let broker = config.broker.iter().map(|broker| {
            scope.spawn(move || found_by(report, |report| broker::check::probe(report, broker)))
        });
        let probes: Vec<_> = upstream.chain(broker).chain(kinds).chain(sinks).collect();
        // A probe that panicked found nothing.
        probes.into_iter().flat_map(|probe| probe.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    report.findings.extend(found);
}

/// What `probe` finds, with places as `report` knows them.
fn found_by(report: &Report, probe: impl FnOnce(&mut Report)) -> Vec<Finding> {
    let mut own = report.clone();
    own.findings.clear();
    probe(&mut own);
    own.findings
}

fn report_listener(report: &mut Report, key: &KeyPath, address: SocketAddr, error: Option<io::Error>) {
    let Some(error) = error else { return };
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "is taken by another program".to_owned(),
        io::ErrorKind::AddrNotAvailable => "is not an address of this machine now".to_owned(),
        io::ErrorKind::PermissionDenied => "is not allowed to this user; take a port from 1024 on".to_owned(),
        _ => format!("cannot be listened on: {error}"),
    };
    report.warning(key, format!("{address} {why}"));
}

/// Says so where the models may take more than half of `memory` bytes.
fn probe_memory(report: &mut Report, anomaly: &Anomaly, memory: u64) {
    let models = u64::from(anomaly.max_series) * MODEL_BYTES;
    if anomaly.enabled && models > memory / 2 {
        report.warning(
            &KeyPath::of("anomaly.max_series"),
            format!(
                "{} models may take {} MB, more than half of this machine's memory ({} MB)",
                anomaly.max_series,
                models / 1_000_000,
                memory / 1_000_000
            ),
        );
    }
}

/// Says so where the connections that may be open at once are more than the process may have: `riser run` takes the hard limit.
fn probe_files(report: &mut Report, config: &Config, limit: u64) {
    let http = config.http.as_ref().map_or(0, |http| http.max_connections);
    let broker = config.broker.as_ref().map_or(0, |broker| broker.max_clients);
    let needed = (http + broker) as u64 + OTHER_FILES;
    if http + broker == 0 || needed <= limit {
        return;
    }
    let key = if http >= broker { "http.max_connections" } else { "broker.max_clients" };
    report.warning(
        &KeyPath::of(key),
        format!(
            "{http} connections of [http] and {broker} clients of [broker] need {needed} open files, and a process may have \
             {limit} (ulimit -Hn; LimitNOFILE of the service): those above are refused"
        ),
    );
}

/// The machine's memory in bytes (`/proc/meminfo`, proc(5)); none where that is not available.
fn memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    Some(kib.parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests;
