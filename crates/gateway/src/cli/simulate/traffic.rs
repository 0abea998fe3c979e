//! A building's traffic, at a gateway or a broker before it, until the time is up.

#[cfg(any(feature = "coap", feature = "lorawan"))]
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use simulator::{Building, Load, Sent, SimulateError};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "coap")]
use super::coap;
#[cfg(feature = "lorawan")]
use super::lorawan;
use super::{Args, Protocol, Traffic, mqtt};
use crate::cli::{Exit, Failure, print_line};
use pipeline::clock::SystemClock;

/// Without `--devices`.
const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

pub(super) fn send(args: &Args, target: &str) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    suits(&args.traffic)?;
    let sent = crate::cli::runtime()?.block_on(speak(args, target, building(args)))?;
    print_line(&format!(
        "sent {} messages with {} readings; {} sent again, {} refused, {} without an answer",
        sent.messages, sent.readings, sent.repeated, sent.refused, sent.unacknowledged
    ))?;
    if sent.not_joined > 0 {
        let devices = args.devices.unwrap_or(DEVICES);
        print_line(&format!(
            "{} of {devices} devices could not join: the gateway's log says which, and whether it has no such device or \
             another key",
            sent.not_joined
        ))?;
    }
    Ok(if sent.unacknowledged == 0 && sent.not_joined == 0 { Exit::Fine } else { Exit::Unavailable })
}

/// What the gateway has to know of the devices beforehand.
pub(super) fn print_config(args: &Args) -> Result<Exit, Failure> {
    suits(&args.traffic)?;
    #[cfg(feature = "lorawan")]
    return lorawan::print_config(args, &building(args));
    #[cfg(not(feature = "lorawan"))]
    Err(Failure::left_out("LoRaWAN", "lorawan"))
}

fn building(args: &Args) -> Building {
    let devices = args.devices.unwrap_or(DEVICES);
    if args.traffic.mixed { Building::mixed(devices, args.seed) } else { Building::new(devices, args.seed) }
}

/// Refuses what the protocol has no use for: who gives it expects something of it.
fn suits(traffic: &Traffic) -> Result<(), Failure> {
    let of_mqtt = traffic.username.is_some() || traffic.ca_file.is_some();
    let of_lorawan = traffic.region.is_some() || traffic.abp || traffic.confirmed || traffic.print_config;
    let wrong = match traffic.protocol {
        Protocol::Mqtt | Protocol::Coap | Protocol::Coaps if of_lorawan => {
            "--region, --abp, --confirmed and --print-config are for --protocol lorawan"
        }
        Protocol::Lorawan if traffic.psk_identity.is_some() => "--psk-identity is for --protocol coaps",
        Protocol::Mqtt if traffic.psk_identity.is_some() => "--psk-identity is for --protocol coaps",
        Protocol::Coap if traffic.psk_identity.is_some() => {
            "--psk-identity is for --protocol coaps; coap is in the clear"
        }
        Protocol::Coap | Protocol::Coaps | Protocol::Lorawan if of_mqtt => {
            "--username, --password-file and --ca-file are for --protocol mqtt"
        }
        Protocol::Coaps if traffic.psk_identity.is_none() => {
            "--protocol coaps takes --psk-identity and --psk-file"
        }
        Protocol::Mqtt | Protocol::Coap | Protocol::Coaps | Protocol::Lorawan => return Ok(()),
    };
    Err(Failure::new(Exit::Usage, wrong))
}

async fn speak(args: &Args, target: &str, building: Building) -> Result<Sent, Failure> {
    let traffic = &args.traffic;
    let load = Load { rate: traffic.rate, duration: traffic.duration.map(|duration| duration.0) };
    let clock = Arc::new(SystemClock);
    let sent = match traffic.protocol {
        Protocol::Mqtt => {
            let options = mqtt::options(traffic, target)?;
            simulator::mqtt::send(options, building, load, clock, interruption()).await
        }
        #[cfg(feature = "coap")]
        Protocol::Coap | Protocol::Coaps => {
            let target = coap::target(traffic, target).await?;
            simulator::coap::send(&target, building, load, clock, interruption()).await
        }
        #[cfg(not(feature = "coap"))]
        Protocol::Coap | Protocol::Coaps => return Err(Failure::left_out("CoAP", "coap")),
        #[cfg(feature = "lorawan")]
        Protocol::Lorawan => {
            let target = lorawan::target(args, target).await?;
            simulator::lorawan::send(&target, building, load, clock, interruption()).await
        }
        #[cfg(not(feature = "lorawan"))]
        Protocol::Lorawan => return Err(Failure::left_out("LoRaWAN", "lorawan")),
    };
    sent.map_err(|error| failure(&error))
}

pub(super) fn failure(error: &SimulateError) -> Failure {
    let exit = match error {
        #[cfg(feature = "coap")]
        SimulateError::BadKey { .. } => Exit::Usage,
        SimulateError::BadRate { .. }
        | SimulateError::TooManyDevices { .. }
        | SimulateError::TooManyIdentities { .. } => Exit::Usage,
        SimulateError::Unreachable { .. } | SimulateError::NoneJoined { .. } => Exit::Unavailable,
    };
    Failure::new(exit, gateway_core::chain(error))
}

/// HOST or HOST:PORT, also behind `scheme://`, for `--protocol protocol`.
#[cfg(any(feature = "coap", feature = "lorawan"))]
pub(super) async fn address(
    target: &str,
    scheme: &str,
    port: u16,
    protocol: &str,
) -> Result<SocketAddr, Failure> {
    let usage = |what: &str| Failure::new(Exit::Usage, format!("--target: {what}"));
    let authority = match target.split_once("://") {
        None => target,
        Some((given, rest)) if given.eq_ignore_ascii_case(scheme) => rest.trim_end_matches('/'),
        Some((given, _)) => {
            return Err(usage(&format!("{given}:// is not what --protocol {protocol} speaks")));
        }
    };
    if authority.is_empty() || authority.contains('/') {
        return Err(usage(&format!("`{target}` is not HOST:PORT; a path is the devices' own")));
    }
    let has_port =
        authority.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    let found = tokio::net::lookup_host(&authority).await;
    let mut found = found.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot find the address of {authority}: {error}"))
    })?;
    found.next().ok_or_else(|| Failure::new(Exit::Unavailable, format!("{authority} has no address")))
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
