//! `riser ble scan`: what is in the air, with its values, for people who install sensors.
//!
//! It listens beside a running gateway, and keeps nothing. Bind keys and names of devices are those of the configuration,
//! where there is one that this user may read.

mod seen;

use std::collections::BTreeMap;
use std::time::Duration;

use adapters::ble::Ble;
use ble_link::{Radio, RadioOptions, RadioState, RadioStatus, ScanMode};
use clap::Subcommand;
use codecs::ble::Keys;
use gateway_core::DeviceAddress;
use gateway_core::ports::Clock as _;
use gateway_core::settings::HumanDuration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::seen::ScannedDevices;
use super::{ConfigArg, Exit, Failure, print_line};
use gateway_config::Config;
use pipeline::clock::SystemClock;

/// Advertisements that wait to be decoded.
const QUEUE_LENGTH: usize = 1_024;
/// The adapter of a machine that has one.
const USUAL_ADAPTER: &str = "hci0";
/// A scan that has gone quiet is the gateway's to mend.
const NEVER: Duration = Duration::from_hours(24);

#[derive(Debug, Subcommand)]
pub(crate) enum BleCommand {
    /// List the sensors and beacons in the air with their newest values, the nearest first
    #[command(
        after_help = "Examples:\n  riser ble scan\n  riser ble scan --for 1m --adapter hci1\n  sudo riser ble scan --config /etc/riser/gateway.toml     with the names and bind keys of that file\n  riser ble scan --json | jq -r 'select(.rssi > -70) | .address'\n\nRSSI is the strength in dBm: -40 is beside the adapter, -90 is hardly heard.\nA running gateway is not disturbed. Exit code 69: no bluetoothd, no adapter, or not allowed to use it."
    )]
    Scan(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The adapter: its name or its address. Default: that of the configuration's first `[adapters.ble.*]`, else hci0
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// How long to listen
    #[arg(long = "for", value_name = "DURATION", default_value = "10s")]
    duration: HumanDuration,
    #[command(flatten)]
    config: ConfigArg,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn ble(what: BleCommand) -> Result<Exit, Failure> {
    let BleCommand::Scan(args) = what;
    crate::telemetry::start("warn");
    let config = configuration(&args.config)?;
    let ble = config.adapters.of::<Ble>();
    let keys = match ble {
        Some(ble) => {
            let id = config.gateway.id();
            let keys = adapters::ble::keys(ble, &config.site(&id, SystemClock.now()));
            keys.map_err(|error| Failure::new(Exit::Config, gateway_core::chain(&error)))?.0
        }
        None => Keys::new(),
    };
    let configured = ble.and_then(|ble| ble.adapters.values().next()).map(|ble| ble.adapter.clone());
    let adapter = args.adapter.or(configured).unwrap_or_else(|| USUAL_ADAPTER.to_owned());
    let seen = super::runtime()?.block_on(listen(adapter, args.duration.0, keys, names(&config)))?;
    let lines = if args.json { seen.json() } else { seen.text() };
    lines.iter().try_for_each(|line| print_line(line))?;
    Ok(Exit::Fine)
}

/// The configuration. A default one may be unreadable: it is the gateway's, not this user's.
fn configuration(arg: &ConfigArg) -> Result<Config, Failure> {
    match super::run::load_or_default(arg) {
        Ok(loaded) => Ok(loaded.config),
        Err(failure) if arg.config.is_some() || !arg.set.is_empty() => Err(failure),
        Err(Failure { message, .. }) => {
            warn!("without names and bind keys of devices: {message}");
            Ok(Config::default())
        }
    }
}

/// The names of the configured devices, by their addresses.
fn names(config: &Config) -> BTreeMap<String, String> {
    let devices = config.devices.iter();
    let named = devices.map(|(name, device)| (device.address.as_ref().unwrap_or(name), name));
    named.map(|(address, name)| (DeviceAddress::canonical(address).into_owned(), name.clone())).collect()
}

async fn listen(
    adapter: String,
    duration: Duration,
    keys: Keys,
    names: BTreeMap<String, String>,
) -> Result<ScannedDevices, Failure> {
    let stop = CancellationToken::new();
    let _stops_at_the_end = stop.clone().drop_guard();
    let options = RadioOptions {
        adapter,
        scan: ScanMode::Active,
        patterns: Vec::new(),
        silent_after: NEVER,
        simulated: None,
    };
    let mut radio = Radio::start(options, QUEUE_LENGTH, stop);
    until_it_scans(&mut radio.status).await?;
    let mut seen = ScannedDevices::new(keys, names);
    let end = tokio::time::sleep(duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = tokio::signal::ctrl_c() => break,
            Some(found) = radio.scan_results.recv() => seen.add(&found, SystemClock.now()),
            Ok(()) = radio.status.changed() => {
                if let Some(problem) = &radio.status.borrow_and_update().problem {
                    warn!("{problem}");
                }
            }
        }
    }
    Ok(seen)
}

/// The first thing that is wrong ends it: a person can mend it and try again.
async fn until_it_scans(status: &mut watch::Receiver<RadioStatus>) -> Result<(), Failure> {
    let begun = |status: &RadioStatus| status.problem.is_some() || status.state == RadioState::Active;
    let ended = |_| Failure::new(Exit::Software, "the Bluetooth adapter's task has ended");
    match &status.wait_for(begun).await.map_err(ended)?.problem {
        Some(problem) => Err(Failure::new(Exit::Unavailable, problem.clone())),
        None => Ok(()),
    }
}
