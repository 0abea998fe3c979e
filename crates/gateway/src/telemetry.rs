//! Logs to stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Clients that log every attempt to connect, for as long as their servers are away. What went wrong their sinks log, once.
const REPETITIVE: [&str; 2] = ["async_nats", "krafka"];

/// Starts logging to stderr; `RISER_LOG` (as `RUST_LOG`: `debug`, `riser=debug,mqtt_link=trace`) says how much.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env("RISER_LOG").unwrap_or_else(|_| {
        let off = REPETITIVE.map(|client| format!("{client}=off")).join(",");
        EnvFilter::new(format!("{default},{off}"))
    });
    // Under systemd the journal knows the time already.
    let journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start (tests, demo) keeps the first.
    let _ = if journald { builder.without_time().try_init() } else { builder.try_init() };
}
