//! A building's traffic, at a gateway or a broker before it, until the time is up.

use std::num::NonZeroUsize;
use std::sync::Arc;

use gateway_core::settings::Secret;
use mqtt_link::{BrokerUrl, Options, Tls};
use simulator::Building;
use simulator::mqtt::{Load, SimulateError};
use tokio_util::sync::CancellationToken;

use super::{Args, Protocol, Traffic};
use crate::cli::{Exit, Failure, print_line};
use crate::clock::SystemClock;

/// Where nothing is said.
const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

pub(super) fn send(args: &Args, target: &str) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let traffic = &args.traffic;
    let options = options(traffic, target)?;
    let Protocol::Mqtt = traffic.protocol;
    let devices = args.devices.unwrap_or(DEVICES);
    let building =
        if traffic.mixed { Building::mixed(devices, args.seed) } else { Building::new(devices, args.seed) };
    let load = Load { rate: traffic.rate, duration: traffic.duration.map(|duration| duration.0) };
    let sent = crate::cli::runtime()?.block_on(async {
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

fn options(args: &Traffic, target: &str) -> Result<Options, Failure> {
    let url = if target.contains("://") { target.to_owned() } else { format!("mqtt://{target}") };
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
