//! `riser export`: what the local history has, as CSV or Parquet, also while the gateway runs.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use gateway_core::ports::Clock as _;
use gateway_core::settings::HumanDuration;
use gateway_core::{Timestamp, chain};
use history::{ExportError, Store};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pipeline::clock::SystemClock;
use pipeline::observe::live_socket;
use pipeline::training::local_history;

use super::output_target::OutputTarget;
use super::{ConfigArg, Exit, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The first instant: RFC 3339, a date (midnight in gateway.timezone), or an age such as -7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,
    /// The first instant after it, written as --from; default: now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only devices whose name matches
    #[arg(long, value_name = "GLOB")]
    device: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write; default: stdout, for CSV
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Parquet,
}

impl From<Format> for history::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Parquet => Self::Parquet,
        }
    }
}

pub(crate) fn export(args: &Args) -> Result<Exit, Failure> {
    if args.format == Format::Parquet && args.output.is_none() {
        return Err(Failure::new(Exit::Usage, "--format parquet needs --output FILE"));
    }
    let matcher = args.device.as_deref().map(|glob| {
        live_socket::matcher(glob)
            .map_err(|error| Failure::new(Exit::Usage, format!("--device `{glob}`: {error}")))
    });
    let matcher = matcher.transpose()?;
    let config = super::run::load(&args.config, true)?.config;
    let (now, zone) = (SystemClock.now(), zone(&config.gateway.timezone()));
    let from = instant("--from", &args.from, now, &zone)?;
    let to = args.to.as_deref().map_or(Ok(now), |text| instant("--to", text, now, &zone))?;
    if to <= from {
        return Err(Failure::new(Exit::Usage, format!("--to ({to}) is not after --from ({from})")));
    }
    let store = open(&local_history::path(&config.gateway.data_dir))?;
    let mut devices = store.devices().map_err(|error| Failure::new(Exit::NoInput, chain(&error)))?;
    devices.retain(|device| matcher.as_ref().is_none_or(|matcher| matcher.is_match(&**device)));
    if let Some(glob) = args.device.as_deref().filter(|_| devices.is_empty()) {
        return Err(Failure::new(Exit::NoInput, format!("the history has no device that matches `{glob}`")));
    }
    write(&store, &devices, (from, to), args)
}

fn write(
    store: &Store,
    devices: &[Box<str>],
    range: (Timestamp, Timestamp),
    args: &Args,
) -> Result<Exit, Failure> {
    let mut target = OutputTarget::open(args.output.as_deref())?;
    let place = target.place();
    let out = io::BufWriter::new(&mut target);
    let exported = store.export(devices, range, args.format.into(), out).map_err(|error| match error {
        ExportError::Write(error) => place.failure(&error),
        ExportError::History(error) => Failure::new(Exit::NoInput, chain(&error)),
        other => Failure::new(Exit::Unavailable, other.to_string()),
    })?;
    target.finish()?;
    if exported.damaged > 0 {
        let damaged = exported.damaged;
        // No reader of it is no reason to fail.
        let _ = writeln!(io::stderr(), "riser: {damaged} windows are damaged and left out");
    }
    Ok(Exit::Fine)
}

fn open(path: &Path) -> Result<Store, Failure> {
    if !path.exists() {
        let text = format!(
            "there is no history: {} is not there; add `[history]` to the configuration and let the gateway run",
            path.display()
        );
        return Err(Failure::new(Exit::NoInput, text));
    }
    Store::open_read_only(path).map_err(|error| Failure::new(Exit::NoInput, chain(&error)))
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn instant(key: &str, text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Failure> {
    parse(text, now, zone).ok_or_else(|| {
        let text = format!(
            "{key} `{text}` is no time; write RFC 3339 (2026-11-20T10:00:00Z), a date (2026-11-20) or an age (-7d)"
        );
        Failure::new(Exit::Usage, text)
    })
}

fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(age) = text.strip_prefix('-') {
        return age.parse::<HumanDuration>().ok().map(|age| now - age.0);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let midnight = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-20".len())?;
    let midnight = midnight.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_millis(midnight.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        parse(text, now, &zone("Europe/Paris")).map(|at| at.to_string())
    }

    #[test]
    fn a_time_is_an_instant_a_date_or_an_age() {
        assert_eq!(at("2026-11-20T10:00:00+01:00").unwrap(), "2026-11-20T09:00:00.000Z");
        assert_eq!(at("2026-11-20").unwrap(), "2026-11-19T23:00:00.000Z", "midnight in Paris");
        assert_eq!(at("-7d").unwrap(), "2026-11-13T10:00:00.000Z");
        assert_eq!(at("-90m").unwrap(), "2026-11-20T08:30:00.000Z");
    }

    #[test]
    fn what_could_be_several_times_is_none() {
        for text in [
            "",
            "-",
            "7d",
            "--7d",
            "20.11.2026",
            "2026-11",
            "2026-11-20T10:00:00",
            "2026-13-01",
            "-7 weeks ago",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
