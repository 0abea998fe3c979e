//! `riser train`: fits the model of each device as a whole to its history, and stores it.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anomaly::multivariate::file::{self, Stored};
use anomaly::multivariate::{Candidate, FitError, Fitted, Windows, fit};
use serde_json::{Value as Json, json};

use super::{ConfigArg, Exit, Failure, print_line};
use crate::build;
use pipeline::training::models;

mod local;
mod recorded;

/// What a running gateway does with what was stored.
const NEXT: &str = "A running gateway takes new models when it reloads: `systemctl reload riser`, or SIGHUP. `riser run` takes them at its start.";

pub(crate) fn train(
    device: Option<&str>,
    history: Option<&Path>,
    config: &ConfigArg,
    json: bool,
) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let config = super::run::load_or_default(config)?.config;
    let folder = models::folder(&config.gateway.data_dir);
    let Some(file) = history else {
        let history = local::History::open(&config)?;
        let devices = history.devices(device)?;
        return all(&devices, |device| history.windows(device), &folder, json);
    };
    let kinds = crate::build::kinds(&config);
    let wanted = recorded::Selection {
        device,
        windows: build::settings(&config).windows,
        kinds: &kinds,
        max_devices: usize::try_from(config.gateway.max_devices).unwrap_or(usize::MAX),
    };
    let mut recorded = recorded::read(file, wanted)?;
    if recorded.is_empty() {
        let message = format!("{} has no windows of any device", file.display());
        return Err(Failure::new(Exit::NoInput, message));
    }
    let devices: Vec<Box<str>> = recorded.keys().map(|device| device.as_str().into()).collect();
    all(&devices, |device| Ok(recorded.remove(device).unwrap_or_default()), &folder, json)
}

/// Each device in turn. Where one cannot be trained the reason is printed, and the rest goes on.
fn all(
    devices: &[Box<str>],
    mut windows_of: impl FnMut(&str) -> Result<Windows, Failure>,
    folder: &Path,
    json: bool,
) -> Result<Exit, Failure> {
    let mut trained = 0;
    for (number, device) in (1..).zip(devices) {
        let windows = windows_of(device)?;
        let progress = Progress::begin(device, number, devices.len(), windows.seen());
        let range = windows.range();
        let outcome = fit(windows, |candidate| progress.show(candidate));
        progress.end();
        let fitted = match outcome {
            Ok(fitted) => fitted,
            Err(error) => {
                print_line(&refusal(device, &error, json))?;
                continue;
            }
        };
        let stored = models::stored(device, range, &fitted);
        let path = file::write(folder, &stored)
            .map_err(|error| Failure::new(Exit::CannotCreate, gateway_core::chain(&error)))?;
        trained += 1;
        let report = Report { stored: &stored, fitted: &fitted, path };
        print_line(&if json { report.json().to_string() } else { report.text() })?;
    }
    if trained == 0 {
        return Ok(Exit::NoInput);
    }
    if !json {
        print_line(NEXT)?;
    }
    Ok(Exit::Fine)
}

fn refusal(device: &str, error: &FitError, json: bool) -> String {
    if json {
        json!({ "device": device, "error": error.to_string() }).to_string()
    } else {
        format!("{device}: no model: {error}")
    }
}

/// What came of one device.
struct Report<'a> {
    stored: &'a Stored,
    fitted: &'a Fitted,
    path: PathBuf,
}

impl Report<'_> {
    fn text(&self) -> String {
        let Stored { device, from, to, windows, model } = self.stored;
        let metrics: Vec<&str> = model.metrics().collect();
        let candidates: Vec<String> = self.fitted.candidates.iter().map(describe).collect();
        let mut lines = vec![
            format!("{device}: {} of {}", model.shape(), metrics.join(", ")),
            format!("  fitted to    {windows} windows from {from} to {to}"),
            format!("  likelihoods  {} (mean ln of a held-out window)", candidates.join("; ")),
            format!("  odd from     {:.2} nats (ordinary: {:.2})", model.limit(), model.ordinary()),
            format!("  stored in    {}", self.path.display()),
        ];
        if !self.fitted.left_out.is_empty() {
            let left_out = self.fitted.left_out.iter().map(|(name, why)| format!("{name} ({why})"));
            lines.insert(2, format!("  left out     {}", left_out.collect::<Vec<_>>().join(", ")));
        }
        lines.join("\n")
    }

    fn json(&self) -> Json {
        let Stored { device, from, to, windows, model } = self.stored;
        let candidate = |candidate: &Candidate| json!({ "shape": candidate.shape.to_string(), "likelihood": candidate.likelihood });
        let left_out: BTreeMap<&str, String> =
            self.fitted.left_out.iter().map(|(name, why)| (&**name, why.to_string())).collect();
        json!({
            "device": device,
            "windows": windows,
            "from": from.to_string(),
            "to": to.to_string(),
            "metrics": model.metrics().collect::<Vec<_>>(),
            "left_out": left_out,
            "picked": model.shape().to_string(),
            "candidates": self.fitted.candidates.iter().map(candidate).collect::<Vec<_>>(),
            "ordinary": model.ordinary(),
            "limit": model.limit(),
            "file": self.path.display().to_string(),
        })
    }
}

fn describe(candidate: &Candidate) -> String {
    match candidate.likelihood {
        Some(likelihood) => format!("{}: {likelihood:.3}", candidate.shape),
        None => format!("{}: none", candidate.shape),
    }
}

/// What is being done, on stderr: for people who wait.
struct Progress<'a> {
    device: &'a str,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn begin(device: &'a str, number: usize, total: usize, windows: u64) -> Self {
        let mut out = std::io::stderr().lock();
        // Nobody may be listening any more.
        let _ = writeln!(out, "{device} ({number} of {total}): {windows} windows");
        Self { device, terminal: out.is_terminal() }
    }

    fn show(&self, candidate: &Candidate) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K{}: {}", self.device, describe(candidate));
        }
    }

    fn end(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
