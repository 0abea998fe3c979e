//! `riser simulate`: a building's traffic, at a gateway or a broker before it; or weeks of a building, as a recording.

#[cfg(feature = "coap")]
mod coap;
#[cfg(feature = "lorawan")]
mod lorawan;
mod mqtt;
mod recording;
mod traffic;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};
use gateway_core::settings::HumanDuration;
#[cfg(feature = "lorawan")]
use simulator::lorawan::Region;
use simulator::month::Planned;

use super::{Exit, Failure};

/// Of no use without LoRaWAN, which [`traffic`] says.
#[cfg(not(feature = "lorawan"))]
type Region = String;

/// What to make, and where it goes.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("output").required(true).args(["target", "print_config", "days"])))]
pub(crate) struct Args {
    /// How many devices [default: 10, or 25 with --days]
    #[arg(long, value_name = "N")]
    devices: Option<NonZeroUsize>,
    /// Other readings for other seeds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    recording: Recording,
}

/// Real traffic, now.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traffic")]
struct Traffic {
    /// Send to HOST:PORT, or a URL: mqtt://, mqtts://, ws://, wss://, coap://, coaps://, udp:// (lorawan)
    #[arg(long, value_name = "ADDR")]
    target: Option<String>,
    /// What to speak
    #[arg(long, value_enum, default_value = "mqtt", conflicts_with = "days")]
    protocol: Protocol,
    /// Messages a second, of all devices together
    #[arg(long, value_name = "R", default_value_t = 10.0, conflicts_with = "days")]
    rate: f64,
    /// Stop after this long; else at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "days")]
    duration: Option<HumanDuration>,
    /// Devices of several kinds and formats, not only climate sensors
    #[arg(long, conflicts_with = "days")]
    mixed: bool,
    /// User name at the broker (mqtt)
    #[arg(long, requires = "password_file", conflicts_with = "days")]
    username: Option<String>,
    /// A file with the password (mqtt)
    #[arg(long, value_name = "FILE", conflicts_with = "days")]
    password_file: Option<PathBuf>,
    /// Certificates to trust instead of the machine's (mqtt)
    #[arg(long, value_name = "FILE", conflicts_with = "days")]
    ca_file: Option<PathBuf>,
    /// DTLS identity; with {device} in it each device has its own (coaps)
    #[arg(long, value_name = "IDENTITY", requires = "psk_file", conflicts_with = "days")]
    psk_identity: Option<String>,
    /// A file with the key of every identity, without a last newline, or hex:… (coaps)
    #[cfg_attr(not(feature = "coap"), allow(dead_code, reason = "the argument is parsed and refused"))]
    #[arg(long, value_name = "FILE", requires = "psk_identity", conflicts_with = "days")]
    psk_file: Option<PathBuf>,
    /// EU868, US915, AU915, AS923 or IN865 [default: EU868] (lorawan)
    #[arg(long, conflicts_with = "days")]
    region: Option<Region>,
    /// Devices have their sessions from the start instead of joining (lorawan)
    #[arg(long, conflicts_with = "days")]
    abp: bool,
    /// Each frame is acknowledged to its device, else sent again (lorawan)
    #[arg(long, conflicts_with = "days")]
    confirmed: bool,
    /// Write the devices' [devices.*], with their keys, for gateway.toml; send nothing (lorawan)
    #[arg(long, conflicts_with = "days")]
    print_config: bool,
}

/// Many days at once, to stdout.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Recording")]
struct Recording {
    /// Write so many days of a building to stdout, as JSON lines for `riser replay`
    #[arg(long, value_name = "N")]
    days: Option<NonZeroU32>,
    /// From one reading of a device to the next
    #[arg(long, value_name = "DURATION", default_value = "5m", conflicts_with_all = ["target", "print_config"])]
    every: HumanDuration,
    /// The first day, or time; the season follows it
    #[arg(long, value_name = "DATE", default_value = "2026-01-05", conflicts_with_all = ["target", "print_config"])]
    from: String,
    /// Only the devices of this zone; they show what they would show among all
    #[arg(long, value_name = "ZONE", conflicts_with_all = ["target", "print_config"])]
    zone: Option<String>,
    /// KIND[@DEVICE[/METRIC]][+START], after 8 days where no start is given; may be given again
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["target", "print_config"])]
    fault: Vec<Planned>,
}

/// What can be spoken.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Mqtt,
    /// UDP in the clear
    Coap,
    /// DTLS with a pre-shared key
    Coaps,
    /// Nodes behind Semtech UDP packet forwarders; they join, with keys made of --seed
    Lorawan,
}

pub(crate) fn simulate(args: &Args) -> Result<Exit, Failure> {
    match (args.recording.days, &args.traffic.target) {
        (Some(days), _) => recording::write(args, days),
        (None, Some(target)) => traffic::send(args, target),
        (None, None) if args.traffic.print_config => traffic::print_config(args),
        // The command line does not let this through.
        (None, None) => Err(Failure::new(Exit::Usage, "give --target, --print-config or --days".to_owned())),
    }
}
