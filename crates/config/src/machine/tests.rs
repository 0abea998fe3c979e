use std::net::TcpListener;
use std::path::Path;

use super::*;
use crate::load::{Layers, from_bytes};

/// A configuration without a mistake.
pub(super) fn loaded(text: &str) -> Loaded {
    from_bytes(Path::new("gateway.toml"), text.as_bytes(), Layers::default(), Timestamp::PLAUSIBLE).unwrap()
}

/// What one probe warns of.
pub(super) fn findings_of(probe: impl FnOnce(&mut Report)) -> Vec<String> {
    let mut report = Report::default();
    probe(&mut report);
    Findings::new("gateway.toml", report.findings).warnings().collect()
}

fn probed(text: &str) -> Vec<String> {
    // The usual folder may not be this user's.
    let data = tempfile::tempdir().unwrap();
    let text = format!("{text}[gateway]\ndata_dir = {:?}\n", data.path());
    probe(&loaded(&text), Timestamp::PLAUSIBLE).warnings().collect()
}

#[test]
fn a_taken_port_and_a_silent_broker_are_warnings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // tcpmux: a port that no test beside this one is ever given.
    let closed = "127.0.0.1:1";
    let address = taken.local_addr().unwrap();
    let found = probed(&format!(
        "[broker]\nlisten = \"{address}\"\nanonymous = true\n[upstream]\nurl = \"mqtt://{closed}\"\n"
    ));
    assert_eq!(found.len(), 2, "{found:?}");
    let taken_line =
        format!("gateway.toml:2:1: warning: broker.listen: {address} is taken by another program");
    assert_eq!(found[0], taken_line);
    assert!(
        found[1]
            .starts_with(&format!("gateway.toml:5:1: warning: upstream.url: {closed} is out of reach now: ")),
        "{found:?}"
    );
}

#[test]
fn what_is_there_is_not_told() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", broker.local_addr().unwrap());
    assert!(probed(&format!("[upstream]\nurl = \"{url}\"\n")).is_empty());
}

#[test]
fn an_unset_clock_is_a_warning() {
    assert_eq!(findings_of(|report| probe_clock(report, Timestamp::EPOCH)).len(), 1);
    assert!(findings_of(|report| probe_clock(report, Timestamp::PLAUSIBLE)).is_empty());
}

#[test]
fn more_connections_than_files_are_a_warning() {
    let warned = |text: &str, limit| findings_of(|report| probe_files(report, &loaded(text).config, limit));
    let both = "[http]\nmax_connections = 300\n[broker]\nlisten = \"127.0.0.1:1\"\nanonymous = true\nmax_clients = 1000\n";
    let line = "gateway.toml:1:1: warning: broker.max_clients: 300 connections of [http] and 1000 clients of [broker] need 1428 \
                open files, and a process may have 1024 (ulimit -Hn; LimitNOFILE of the service): those above are refused";
    assert_eq!(warned(both, 1024), [line]);
    assert!(warned(both, 4096).is_empty());
    assert!(warned("[http]\nmax_connections = 300\n", 1024).is_empty());
    assert_eq!(warned("[http]\nmax_connections = 1000\n", 1024).len(), 1);
    assert!(warned("", 64).is_empty());
}

#[test]
fn models_that_may_fill_half_of_the_memory_are_a_warning() {
    let warned = |anomaly: Anomaly, memory| findings_of(|report| probe_memory(report, &anomaly, memory));
    let line = "gateway.toml:1:1: warning: anomaly.max_series: 10000 models may take 163 MB, more than half of this \
                machine's memory (320 MB)";
    assert_eq!(warned(Anomaly::default(), 320_000_000), [line]);
    assert!(warned(Anomaly::default(), 512_000_000).is_empty());
    assert!(warned(Anomaly { enabled: false, ..Anomaly::default() }, 320_000_000).is_empty());
    assert!(memory().unwrap() > 1 << 20);
}
