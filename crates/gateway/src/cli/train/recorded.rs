//! A recorded history: aggregates as they are published, one JSON object a line, or raw readings (JSON lines or CSV, as
//! `riser replay` reads them), which are put into windows first. A bad row is reported and left out.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use aggregator::{Admission, Aggregator};
use anomaly::multivariate::Windows;
use gateway_core::{Aggregate, DeviceId, MetricId, MetricKind, Now, Reading, Timestamp};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::cli::lines::{self, Lines};
use crate::cli::replay::recording::{self, Row};
use crate::cli::{Exit, Failure};

/// Bad rows that people are shown.
const SHOWN: u64 = 10;

/// Which part of a history is wanted, and how readings become windows.
pub(super) struct Selection<'a> {
    /// This device; every one where none is named.
    pub(super) device: Option<&'a str>,
    pub(super) windows: aggregator::Settings,
    /// `[aggregate.metrics.*] kind`.
    pub(super) kinds: &'a BTreeMap<String, MetricKind>,
    /// Most devices.
    pub(super) max_devices: usize,
}

/// The history of each device in the file.
pub(super) fn read(file: &Path, wanted: Selection<'_>) -> Result<BTreeMap<String, Windows>, Failure> {
    let mut devices = Devices { wanted, known: BTreeMap::new(), refused: 0 };
    let mut problems = Problems { file, rejected: 0 };
    if holds_aggregates(file)? {
        let lines = Lines::new(BufReader::new(lines::open(file)?)).zip(1..);
        for (line, number) in lines {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    problems.report(number, &error.to_string());
                    continue;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Published>(&line) {
                Ok(published) => {
                    if let Err(reason) = devices.take_aggregate(&published) {
                        problems.report(number, &reason);
                    }
                }
                Err(error) => problems.report(number, &error.to_string()),
            }
        }
    } else {
        for row in recording::open(file)? {
            match row {
                Ok(row) => devices.take_readings(&row),
                Err(problem) => problems.report(problem.line, &problem.reason),
            }
        }
    }
    problems.finish();
    devices.finish()
}

/// Whether the first line is an aggregate.
fn holds_aggregates(file: &Path) -> Result<bool, Failure> {
    let first = Lines::new(BufReader::new(lines::open(file)?))
        .find(|line| line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty()))
        .transpose()
        .map_err(|error| unreadable(file, &error))?;
    let json = serde_json::from_slice::<Json>(&first.unwrap_or_default()).unwrap_or_default();
    Ok(json.get("window").is_some())
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display()))
}

/// An aggregate as far as a model needs it.
#[derive(Deserialize)]
struct Published {
    /// None for a zone's.
    device: Option<String>,
    window: Window,
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Window {
    start: Json,
    end: Json,
}

#[derive(Deserialize)]
struct Metric {
    avg: f64,
    /// Only counters have one.
    delta: Option<f64>,
}

struct Devices<'a> {
    wanted: Selection<'a>,
    known: BTreeMap<String, Device>,
    /// Readings of devices beyond the most, and such that came too late for their window.
    refused: u64,
}

struct Device {
    windows: Windows,
    readings: Aggregator,
    metrics: Vec<String>,
    now: Timestamp,
}

impl Devices<'_> {
    fn device(&mut self, name: &str) -> Option<&mut Device> {
        if self.wanted.device.is_some_and(|wanted| wanted != name) {
            return None;
        }
        if !self.known.contains_key(name) {
            if self.known.len() >= self.wanted.max_devices {
                self.refused += 1;
                return None;
            }
            let readings = Aggregator::new(self.wanted.windows.clone());
            let device =
                Device { windows: Windows::default(), readings, metrics: Vec::new(), now: Timestamp::EPOCH };
            self.known.insert(name.to_owned(), device);
        }
        self.known.get_mut(name)
    }

    fn take_aggregate(&mut self, published: &Published) -> Result<(), String> {
        let kinds = self.wanted.kinds;
        let Some(device) = published.device.as_deref().and_then(|name| self.device(name)) else {
            return Ok(());
        };
        let (start, end) =
            (recording::time(Some(&published.window.start))?, recording::time(Some(&published.window.end))?);
        let averages = published.metrics.iter().filter(|(name, metric)| {
            metric.delta.is_none() && kinds.get(*name) != Some(&MetricKind::Counter)
        });
        device.windows.push(start, end, averages.map(|(name, metric)| (name.as_str(), metric.avg)));
        Ok(())
    }

    fn take_readings(&mut self, row: &Row) {
        let kinds = self.wanted.kinds;
        let Some(device) = self.device(&row.device) else { return };
        device.now = device.now.max(row.at);
        device.close(device.now);
        let mut refused = 0;
        for value in &row.metrics {
            if kinds.get(&value.metric) == Some(&MetricKind::Counter) {
                continue;
            }
            let metric = device.metric(&value.metric);
            let reading = Reading { device: DeviceId(0), metric, value: value.value, at: row.at };
            let admission = device.readings.push(&reading, Now::at(device.now));
            refused += u64::from(admission != Admission::Admitted);
        }
        self.refused += refused;
    }

    fn finish(mut self) -> Result<BTreeMap<String, Windows>, Failure> {
        if self.refused > 0 {
            tracing::warn!(
                "{} readings were left out: too late for their window, or of too many devices",
                self.refused
            );
        }
        for device in self.known.values_mut() {
            device.close(Timestamp::MAX);
        }
        if let Some(name) = self.wanted.device.filter(|name| !self.known.contains_key(*name)) {
            return Err(Failure::new(Exit::NoInput, format!("the history has no device `{name}`")));
        }
        Ok(self.known.into_iter().map(|(name, device)| (name, device.windows)).collect())
    }
}

impl Device {
    fn metric(&mut self, name: &str) -> MetricId {
        let index = self.metrics.iter().position(|known| known == name).unwrap_or_else(|| {
            self.metrics.push(name.to_owned());
            self.metrics.len() - 1
        });
        MetricId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Takes the windows that are closed by then.
    fn close(&mut self, now: Timestamp) {
        let mut closed: Vec<Aggregate> = Vec::new();
        self.readings.advance(Now::at(now), &mut closed);
        for aggregate in closed {
            let averages = aggregate.metrics.iter().filter_map(|(metric, summary)| {
                Some((self.metrics.get(metric.0 as usize)?.as_str(), summary.avg))
            });
            self.windows.push(aggregate.window.start, aggregate.window.end, averages);
        }
    }
}

/// Rows that cannot be read: the first ones are shown, all are counted.
struct Problems<'a> {
    file: &'a Path,
    rejected: u64,
}

impl Problems<'_> {
    fn report(&mut self, line: u64, reason: &str) {
        self.rejected += 1;
        if self.rejected <= SHOWN {
            tracing::warn!("{}:{line}: {reason}; this row is left out", self.file.display());
        }
    }

    fn finish(&self) {
        if self.rejected > SHOWN {
            tracing::warn!("{}: {} rows were left out", self.file.display(), self.rejected);
        }
    }
}
