//! `riser simulate`: a building's traffic, at a gateway or a broker before it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use gateway_core::settings::{HumanDuration, Secret};
use mqtt_link::{BrokerUrl, Options, Tls};
use simulator::Building;
use simulator::mqtt::{Load, SimulateError};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, print_line};
use crate::clock::SystemClock;

/// What to send, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// HOST:PORT, or a URL: mqtt://, mqtts://, ws://, wss://
    #[arg(long, value_name = "ADDR")]
    target: String,
    /// What to speak
    #[arg(long, value_enum, default_value = "mqtt")]
    protocol: Protocol,
    /// How many devices
    #[arg(long, value_name = "N", default_value = "10")]
    devices: NonZeroUsize,
    /// Messages a second, of all devices together
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Stop after this long; else at Ctrl-C
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<HumanDuration>,
    /// Devices of several kinds and formats, not only climate sensors
    #[arg(long)]
    mixed: bool,
    /// Other readings for other seeds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// User name at the broker
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// A file with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificates to trust instead of the machine's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// What can be spoken.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Mqtt,
}

pub(crate) fn simulate(args: &Args) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let options = options(args)?;
    let Protocol::Mqtt = args.protocol;
    let building = if args.mixed {
        Building::mixed(args.devices, args.seed)
    } else {
        Building::new(args.devices, args.seed)
    };
    let load = Load { rate: args.rate, duration: args.duration.map(|duration| duration.0) };
    let sent = super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let interrupted = stop.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
        });
        simulator::mqtt::send(options, building, load, Arc::new(SystemClock), stop).await
    });
    let sent = sent.map_err(|error| {
        let exit = match error {
            SimulateError::BadRate { .. } => Exit::Usage,
            SimulateError::Unreachable { .. } => Exit::Unavailable,
        };
        Failure::new(exit, crate::telemetry::chain(&error))
    })?;
    print_line(&format!(
        "sent {} messages with {} readings; {} sent again, {} refused, {} without an answer",
        sent.messages, sent.readings, sent.repeated, sent.refused, sent.unacknowledged
    ))?;
    Ok(if sent.unacknowledged == 0 { Exit::Fine } else { Exit::Unavailable })
}

fn options(args: &Args) -> Result<Options, Failure> {
    let url =
        if args.target.contains("://") { args.target.clone() } else { format!("mqtt://{}", args.target) };
    let url: BrokerUrl = url.parse().map_err(|error| {
        Failure::new(Exit::Usage, format!("--target: {}", crate::telemetry::chain(&error)))
    })?;
    let mut options = Options::new(url, format!("riser-simulate-{}", std::process::id()));
    options.tls = Tls { ca_file: args.ca_file.clone(), ..Tls::default() };
    if let (Some(user), Some(file)) = (&args.username, &args.password_file) {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display()))
        })?;
        options.credentials =
            Some((user.clone(), Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())));
    }
    Ok(options)
}
