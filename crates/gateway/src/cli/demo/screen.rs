//! The demo's live summary: a table that refreshes in place on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Write as _, stdout};

use crossterm::style::Stylize as _;
use crossterm::{cursor, queue, terminal};
use serde_json::Value;

use crate::cli::tail::for_people;
use crate::cli::{Failure, print_line};
use pipeline::observe::live_socket::Line;
use read_model::Balance;

/// Rows of the table, and alerts under it.
const ROWS: usize = 27;
const ALERTS: usize = 8;

/// What has been seen, and how to show it.
pub(super) struct Screen {
    terminal: bool,
    aggregates: u64,
    devices: BTreeMap<String, Value>,
    alerts: VecDeque<Line>,
    drawn: u16,
    last_plain: u64,
}

impl Screen {
    pub(super) fn new(terminal: bool) -> Self {
        Self {
            terminal,
            aggregates: 0,
            devices: BTreeMap::new(),
            alerts: VecDeque::new(),
            drawn: 0,
            last_plain: 0,
        }
    }

    /// A message as the cloud got it.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), Failure> {
        let Ok(item) = serde_json::from_slice::<Value>(payload) else { return Ok(()) };
        let kind = match topic.split('/').nth(1) {
            Some("sensors") => "aggregate",
            Some("alerts") => "alert",
            _ => return Ok(()),
        };
        let line = Line { kind: kind.to_owned(), item };
        if !self.terminal {
            print_line(&for_people(&line))?;
        }
        if kind == "aggregate" {
            self.aggregates += 1;
            let device = line.item.get("device").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.devices.insert(device, line.item);
        } else {
            self.alerts.push_front(line);
            self.alerts.truncate(ALERTS);
        }
        Ok(())
    }

    /// Draws the table over the one before; where there is no terminal, a line of the ledger now and then.
    pub(super) fn draw(&mut self, balance: &Balance) -> Result<(), Failure> {
        if !self.terminal {
            if self.aggregates >= self.last_plain + 48 {
                self.last_plain = self.aggregates;
                print_line(&ledger(balance))?;
            }
            return Ok(());
        }
        let width = usize::from(terminal::size().map_or(100, |(columns, _)| columns)).max(40);
        let mut lines = vec![format!(
            "{:<18} {:<21} {:<12} {:>9} {:>9} {:>9} {:>4}",
            "DEVICE", "ZONE", "METRIC", "AVG", "MIN", "MAX", "N"
        )];
        lines.extend(self.devices.values().take(ROWS).map(row));
        lines.push(String::new());
        lines.push(format!("ALERTS ({} aggregates have reached the cloud)", self.aggregates));
        lines.extend(self.alerts.iter().map(for_people));
        lines.push(String::new());
        lines.push(ledger(balance));
        self.paint(&lines, width).map_err(|error| Failure::stdout(&error))
    }

    fn paint(&mut self, lines: &[String], width: usize) -> std::io::Result<()> {
        let mut out = stdout().lock();
        if self.drawn > 0 {
            queue!(out, cursor::MoveToPreviousLine(self.drawn))?;
        }
        queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
        for line in lines {
            let cut: String = line.chars().take(width - 1).collect();
            if cut.starts_with("DEVICE") || cut.starts_with("ALERTS") {
                writeln!(out, "{}", cut.bold())?;
            } else if cut.contains(" CRITICAL ") && cut.contains(" raised") {
                writeln!(out, "{}", cut.red())?;
            } else if cut.contains(" raised") {
                writeln!(out, "{}", cut.yellow())?;
            } else {
                writeln!(out, "{cut}")?;
            }
        }
        self.drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        out.flush()
    }

    /// Leaves the table where it is and the cursor under it.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        print_line("")
    }
}

/// A device's first metric of its newest window.
fn row(aggregate: &Value) -> String {
    let text = |key: &str| aggregate.get(key).and_then(Value::as_str).unwrap_or_default();
    let metrics = aggregate.get("metrics").and_then(Value::as_object);
    let preferred = metrics.and_then(|metrics| {
        ["temperature", "power", "occupancy", "contact"]
            .iter()
            .find_map(|name| metrics.get_key_value(*name))
            .or_else(|| metrics.iter().next())
    });
    let Some((metric, summary)) = preferred else { return text("device").to_owned() };
    let field = |key: &str| summary.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    format!(
        "{:<18} {:<21} {metric:<12} {:>9.2} {:>9.2} {:>9.2} {:>4}",
        text("device"),
        text("zone"),
        field("avg"),
        field("min"),
        field("max"),
        field("count")
    )
}

fn ledger(balance: &Balance) -> String {
    let reasons: Vec<_> =
        balance.total.dropped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    format!(
        "readings: {} in = {} published + {} queued + {} open + {} dropped ({}){}",
        balance.total.taken,
        balance.total.published,
        balance.total.queued,
        balance.total.open,
        balance.total.dropped.values().sum::<u64>(),
        if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") },
        if balance.balanced { "" } else { "  NOT BALANCED" }
    )
}
