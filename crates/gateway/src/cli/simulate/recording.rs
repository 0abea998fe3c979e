//! Weeks of a building as JSON lines, a line for each device and time, as `riser replay` reads them. Each line also has
//! the device's `zone`, for the `[devices.*]` that a replay takes zones from.

use std::io::{self, BufWriter, Write};
use std::num::NonZeroU32;

use serde::{Serialize, Serializer};
use simulator::month::{DEVICES, Metric, Month, Row, Settings};

use super::Args;
use crate::cli::{Exit, Failure, time_text};

pub(super) fn write(args: &Args, days: NonZeroU32) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let month = Month::new(&settings(args, days)?)
        .map_err(|error| Failure::new(Exit::Usage, gateway_core::chain(&error)))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = month.into_iter().try_for_each(|row| write_row(&mut out, &row));
    written.and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Fine)
}

fn settings(args: &Args, days: NonZeroU32) -> Result<Settings, Failure> {
    let recording = &args.recording;
    let from = time_text::written_out(&recording.from).ok_or_else(|| {
        let message = format!("--from: `{}` is not a date like 2026-01-05", recording.from);
        Failure::new(Exit::Usage, message)
    })?;
    Ok(Settings {
        seed: args.seed,
        from: from.at,
        days,
        every: recording.every.0,
        devices: args.devices.unwrap_or(DEVICES),
        zone: recording.zone.clone(),
        faults: recording.fault.clone(),
    })
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    device: &'a str,
    zone: &'a str,
    metrics: Metrics<'a>,
}

struct Metrics<'a>(&'a [(Metric, f64)]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, value)| (metric.as_str(), value)))
    }
}

fn write_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let line = Line {
        time: row.at.to_string(),
        device: &row.device,
        zone: &row.zone,
        metrics: Metrics(&row.values),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
