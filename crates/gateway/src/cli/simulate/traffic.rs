//! A building's traffic, at a gateway or a broker before it, until the time is up.

use std::num::NonZeroUsize;
use std::sync::Arc;

use simulator::{Building, Load, Sent, SimulateError};
use tokio_util::sync::CancellationToken;

use super::{Args, Protocol, Traffic, coap, mqtt};
use crate::cli::{Exit, Failure, print_line};
use crate::clock::SystemClock;

/// Where nothing is said.
const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

pub(super) fn send(args: &Args, target: &str) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let traffic = &args.traffic;
    suits(traffic)?;
    let devices = args.devices.unwrap_or(DEVICES);
    let building =
        if traffic.mixed { Building::mixed(devices, args.seed) } else { Building::new(devices, args.seed) };
    let sent = crate::cli::runtime()?.block_on(speak(traffic, target, building))?;
    print_line(&format!(
        "sent {} messages with {} readings; {} sent again, {} refused, {} without an answer",
        sent.messages, sent.readings, sent.repeated, sent.refused, sent.unacknowledged
    ))?;
    Ok(if sent.unacknowledged == 0 { Exit::Fine } else { Exit::Unavailable })
}

/// Refuses what the protocol has no use for: who gives it expects something of it.
fn suits(traffic: &Traffic) -> Result<(), Failure> {
    let of_mqtt = traffic.username.is_some() || traffic.ca_file.is_some();
    let wrong = match traffic.protocol {
        Protocol::Mqtt if traffic.psk_identity.is_some() => "--psk-identity is for --protocol coaps",
        Protocol::Coap if traffic.psk_identity.is_some() => {
            "--psk-identity is for --protocol coaps; coap is in the clear"
        }
        Protocol::Coap | Protocol::Coaps if of_mqtt => {
            "--username, --password-file and --ca-file are for --protocol mqtt"
        }
        Protocol::Coaps if traffic.psk_identity.is_none() => {
            "--protocol coaps takes --psk-identity and --psk-file"
        }
        Protocol::Mqtt | Protocol::Coap | Protocol::Coaps => return Ok(()),
    };
    Err(Failure::new(Exit::Usage, wrong))
}

async fn speak(traffic: &Traffic, target: &str, building: Building) -> Result<Sent, Failure> {
    let load = Load { rate: traffic.rate, duration: traffic.duration.map(|duration| duration.0) };
    let clock = Arc::new(SystemClock);
    let sent = match traffic.protocol {
        Protocol::Mqtt => {
            let options = mqtt::options(traffic, target)?;
            simulator::mqtt::send(options, building, load, clock, interruption()).await
        }
        Protocol::Coap | Protocol::Coaps => {
            let target = coap::target(traffic, target).await?;
            simulator::coap::send(&target, building, load, clock, interruption()).await
        }
    };
    sent.map_err(|error| {
        let exit = match error {
            SimulateError::BadRate { .. }
            | SimulateError::BadKey { .. }
            | SimulateError::TooManyIdentities { .. } => Exit::Usage,
            SimulateError::Unreachable { .. } => Exit::Unavailable,
        };
        Failure::new(exit, crate::telemetry::chain(&error))
    })
}

/// Cancelled by Ctrl-C.
fn interruption() -> CancellationToken {
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    stop
}
