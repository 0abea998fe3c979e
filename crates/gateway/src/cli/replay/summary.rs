//! What a replay raised, by series and detector: for how often and how long a setting would have spoken.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Alert, AlertState, Timestamp};
use serde::Serialize;

use crate::cli::tail;
use pipeline::engine::registry::Registry;

/// Whose alert, by names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    device: String,
    metric: Option<String>,
    rule: String,
}

/// An alert that is out.
#[derive(Debug)]
struct Open {
    detector: Option<String>,
    since: Timestamp,
}

/// How often one detector or rule spoke of one series.
#[derive(Debug, Clone, Copy, Default)]
struct AlertTotals {
    raised: u64,
    total: Duration,
    longest: Duration,
    is_open: bool,
}

/// Bounded by the series, times the rules and detectors that speak of them.
#[derive(Debug, Default)]
pub(super) struct Summary {
    open: BTreeMap<Series, Open>,
    /// By series and detector.
    totals: BTreeMap<(Series, Option<String>), AlertTotals>,
}

/// A row of the summary, as `--json` has it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Row {
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    alert: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<String>,
    raised: u64,
    /// Seconds from raise to clear, of all of them; to the end of the recording where it is still out.
    duration: f64,
    /// Of the longest.
    longest: f64,
    open: bool,
}

impl Summary {
    /// An alert was raised or cleared; `detector` is the payload's, where it names one.
    pub(super) fn note(&mut self, alert: &Alert, detector: Option<&str>, registry: &Registry) {
        let series = Series {
            device: registry.device_name(alert.device).to_owned(),
            metric: alert.metric.map(|metric| registry.metric_name(metric).to_owned()),
            rule: alert.rule.to_string(),
        };
        match alert.state {
            AlertState::Raised if alert.is_new() => {
                let detector = detector.map(str::to_owned);
                self.totals.entry((series.clone(), detector.clone())).or_default().raised += 1;
                self.open.insert(series, Open { detector, since: alert.at });
            }
            AlertState::Raised | AlertState::Acknowledged => {}
            AlertState::Cleared => {
                if let Some(open) = self.open.remove(&series) {
                    let totals = self.totals.entry((series, open.detector)).or_default();
                    totals.lasted(alert.at.since(open.since));
                }
            }
        }
    }

    /// All rows, when the recording ends.
    pub(super) fn rows(mut self, end: Timestamp) -> Vec<Row> {
        for (series, open) in self.open {
            let totals = self.totals.entry((series, open.detector)).or_default();
            totals.lasted(end.since(open.since));
            totals.is_open = true;
        }
        let row = |((series, detector), totals): ((Series, Option<String>), AlertTotals)| Row {
            device: series.device,
            metric: series.metric,
            alert: series.rule,
            detector,
            raised: totals.raised,
            duration: totals.total.as_secs_f64(),
            longest: totals.longest.as_secs_f64(),
            open: totals.is_open,
        };
        self.totals.into_iter().map(row).collect()
    }
}

impl AlertTotals {
    fn lasted(&mut self, duration: Duration) {
        self.total = self.total.saturating_add(duration);
        self.longest = self.longest.max(duration);
    }
}

/// The rows as a table, the recording's size first.
pub(super) fn for_people(rows: &[Row], series: usize, lasted: Duration) -> Vec<String> {
    let raised: u64 = rows.iter().map(|row| row.raised).sum();
    let mut lines =
        vec![format!("alerts     {raised:>12}  of {series} series in {}", span(lasted.as_secs_f64()))];
    lines.extend(rows.iter().map(|row| {
        let name = row
            .metric
            .as_ref()
            .map_or_else(|| row.device.clone(), |metric| format!("{} {metric}", row.device));
        let by =
            row.detector.as_ref().map_or_else(|| row.alert.clone(), |by| format!("{} ({by})", row.alert));
        let open = if row.open { ", still raised" } else { "" };
        let (total, longest) = (span(row.duration), span(row.longest));
        tail::printable(format!(
            "raised     {:>12}  {name}: {by}, {total} in all, at most {longest}{open}",
            row.raised
        ))
    }));
    lines
}

/// A length of time, as short as possible.
fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let texts = [0.0, 119.0, 300.0, 7_199.0, 7_200.0, 172_800.0, 604_800.0].map(span);
        assert_eq!(texts, ["0 s", "119 s", "5 min", "120 min", "2.0 h", "2.0 d", "7.0 d"]);
    }
}
