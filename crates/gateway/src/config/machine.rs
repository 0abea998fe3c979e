//! What the machine lacks for a configuration that is right: a free port, a broker in reach, a clock that is set.
//! All of it may be there later, so all of it is a warning. Only `riser check` asks.

mod bluetooth;
mod data_dir;
mod surroundings;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use mqtt_link::BrokerUrl;

use super::check::{coap_listeners, listeners};
use super::finding::Findings;
use super::key_path::KeyPath;
use super::load::Loaded;
use super::model::Anomaly;
use super::report::Report;

/// What an anomaly model takes at most.
const MODEL_BYTES: u64 = 16 << 10;

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries what `loaded` will need. Takes as long as the slowest broker, [`PATIENCE`] for each of its addresses.
pub(crate) fn probe(loaded: &Loaded) -> Findings {
    let mut report = loaded.report.clone();
    report.findings.clear();
    probe_clock(&mut report, pipeline::clock::SystemClock.now());
    surroundings::probe_time_service(&mut report, Path::new("/"));
    data_dir::probe(&mut report, loaded);
    probe_listeners(&mut report, loaded);
    probe_coap(&mut report, loaded);
    probe_lorawan(&mut report, loaded);
    bluetooth::probe(&mut report, loaded);
    surroundings::probe_firewall(&mut report, loaded, Path::new("/"));
    probe_brokers(&mut report, loaded);
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

fn probe_listeners(report: &mut Report, loaded: &Loaded) {
    let Some(broker) = &loaded.config.broker else { return };
    for (key, address) in listeners(broker) {
        tell_listener(report, &KeyPath::of("broker").key(key), address, TcpListener::bind(address).err());
    }
}

fn probe_coap(report: &mut Report, loaded: &Loaded) {
    for (name, coap) in &loaded.config.adapters.coap {
        for (key, address) in coap_listeners(coap) {
            let key = KeyPath::of("adapters.coap").key(name).key(key);
            tell_listener(report, &key, address, UdpSocket::bind(address).err());
        }
    }
}

fn probe_lorawan(report: &mut Report, loaded: &Loaded) {
    for (name, lorawan) in &loaded.config.adapters.lorawan {
        let key = KeyPath::of("adapters.lorawan").key(name).key("listen");
        tell_listener(report, &key, lorawan.listen, UdpSocket::bind(lorawan.listen).err());
    }
}

fn tell_listener(report: &mut Report, key: &KeyPath, address: SocketAddr, error: Option<io::Error>) {
    let Some(error) = error else { return };
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "is taken by another program (a running riser?)".to_owned(),
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

/// The machine's memory in bytes (`/proc/meminfo`, proc(5)); none where the kernel does not tell.
fn memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    Some(kib.parse::<u64>().ok()?.saturating_mul(1024))
}

fn probe_brokers(report: &mut Report, loaded: &Loaded) {
    let upstream =
        loaded.config.upstream.iter().map(|upstream| (KeyPath::of("upstream.url"), upstream.url.clone()));
    let adapters = loaded.config.adapters.mqtt.iter().filter_map(|(name, adapter)| {
        Some((KeyPath::of("adapters.mqtt").key(name).key("url"), adapter.url.clone()?))
    });
    // All at once: brokers that are out of reach take their time.
    let probes: Vec<_> = upstream
        .chain(adapters)
        .filter_map(|(key, url)| Some((key, url.parse::<BrokerUrl>().ok()?)))
        .map(|(key, url)| (key, thread::spawn(move || reach(&url))))
        .collect();
    for (key, probe) in probes {
        if let Ok(Err(why)) = probe.join() {
            report.warning(&key, why);
        }
    }
}

/// Whether something takes a connection there.
fn reach(url: &BrokerUrl) -> Result<(), String> {
    let place = format!("{}:{}", url.host(), url.port());
    let unreachable = |error: io::Error| format!("{place} is out of reach now: {error}");
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (url.host(), url.port()).to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

#[cfg(test)]
mod tests;
