//! Logs to stderr.
//!
//! Guarantees: an event is one line, and what devices, brokers and servers have sent cannot control the terminal: the values of
//! all fields go through [`printable`].

use std::fmt::{self, Debug};
use std::io::IsTerminal as _;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(debug_fn(write_field).delimited(" "));
    // A second start (tests, demo) keeps the first.
    let _ = if journald { builder.without_time().try_init() } else { builder.try_init() };
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = printable(&format!("{value:?}"));
    match field.name() {
        "message" => writer.write_str(&value),
        name => write!(writer, "{name}={value}"),
    }
}

/// The text with its control characters escaped, and those that change the direction of writing.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_stay() {
        assert_eq!(printable("grün 温度 \"a\\b\""), "grün 温度 \"a\\b\"");
        assert_eq!(printable("x\n\u{1b}[31m\u{7}\u{9b}\u{202e}"), r"x\n\u{1b}[31m\u{7}\u{9b}\u{202e}");
    }
}
