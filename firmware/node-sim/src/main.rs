//! A sensor node on Linux: the logic of the boards (`node-core`) with simulated sensors, over a real link to a real gateway.
//!
//! Time can go faster than it does: with `--speed 60` a node that measures every ten minutes does so every ten seconds.

mod board;
mod coap;
mod flash;
mod link;
mod lorawan;
mod mqtt;
mod sensors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use node_core::wire::sealed::{Key, NodeId};
use node_core::{Config, Exit, FlashStore, RamStore, Sealing, Store};
use node_lorawan::Credentials;

use crate::board::SimBoard;
use crate::flash::FileFlash;
use crate::link::AnyLink;
use crate::sensors::SimSensors;

const FIRMWARE: &str = concat!("node-sim ", env!("CARGO_PKG_VERSION"));
/// How many records a node without `--flash` keeps.
const RAM_RECORDS: usize = 64;

const EXAMPLES: &str = "\
Examples:
  node-sim mqtt://127.0.0.1:1883/nodes/attic                     every ten minutes
  node-sim --speed 60 coap://127.0.0.1:5683/sensors/attic        an hour in a minute
  node-sim --flash attic.flash --key-file attic.key --node-id 70b3d57ed0000001 mqtt://127.0.0.1:1883/nodes/attic";

/// A sensor node on Linux, with simulated sensors and the logic of the real boards
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Args {
    /// The gateway: mqtt://[USER:PASSWORD@]HOST:PORT/TOPIC, coap://HOST:PORT/PATH, or lorawan://HOST:PORT as a packet
    /// forwarder
    gateway: url::Url,
    /// How many times faster the node lives
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    speed: f64,
    /// Seconds of the node's life between two measurements when nothing changes, from 60 to 3600
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    interval: u32,
    /// Seconds after which a value is reported although it did not change
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    heartbeat: u32,
    /// Seconds that a report may wait for others, to be sent in one frame
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    deadline: u32,
    /// Keep what is not delivered in this file, as a board does in its flash; else in memory
    #[arg(long, value_name = "FILE")]
    flash: Option<PathBuf>,
    /// Seal frames with the key in this file (64 hexadecimal digits); needs --flash and --node-id
    #[arg(long, value_name = "FILE", requires = "flash", requires = "node_id")]
    key_file: Option<PathBuf>,
    /// The id of the node in sealed frames, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    node_id: Option<String>,
    /// The device's EUI at LoRaWAN, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    dev_eui: Option<String>,
    /// The EUI that the device joins, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    join_eui: Option<String>,
    /// The file of the AppKey, 32 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    app_key_file: Option<PathBuf>,
    /// Also count measurements, as the metric `count`
    #[arg(long)]
    count: bool,
    /// The time server that tells the time of day, for example 127.0.0.1:123; without one the node sends ages
    #[arg(long, value_name = "HOST:PORT")]
    time_server: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        // As a board's reset: whoever starts boards starts it again.
        Ok(Exit::Reboot) => ExitCode::from(75),
        Ok(Exit::NoCounters) => fail("the flash cannot reserve the counters of sealed frames"),
        Err(why) => fail(&why),
    }
}

#[expect(clippy::print_stderr, reason = "a command's way to say what is wrong")]
fn fail(why: &str) -> ExitCode {
    eprintln!("node-sim: {why}");
    ExitCode::FAILURE
}

async fn run(args: &Args) -> Result<Exit, String> {
    if !(0.01..=10_000.0).contains(&args.speed) {
        return Err("--speed must be between 0.01 and 10000".to_owned());
    }
    let sealing = sealing(args)?;
    let config = Config {
        interval: args.interval,
        heartbeat: args.heartbeat,
        deadline: args.deadline,
        sealing: sealing.as_ref(),
        ..Config::new(FIRMWARE)
    };
    let link = AnyLink::new(&args.gateway, credentials(args)?, args.time_server.clone())?;
    match &args.flash {
        None => Ok(live(args, link, RamStore::<RAM_RECORDS>::new(), &config).await),
        Some(path) => {
            let flash =
                FileFlash::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            let store = FlashStore::open(flash, FileFlash::RANGE).await;
            let store = store.map_err(|_| format!("cannot use {} as flash", path.display()))?;
            Ok(live(args, link, store, &config).await)
        }
    }
}

async fn live(args: &Args, mut link: AnyLink, mut store: impl Store, config: &Config<'_>) -> Exit {
    let mut board = SimBoard::new(args.speed);
    let mut sensors = SimSensors::new(args.count);
    node_core::run(&mut board, &mut sensors, &mut link, &mut store, config).await
}

fn sealing(args: &Args) -> Result<Option<Sealing>, String> {
    let Some(path) = &args.key_file else { return Ok(None) };
    let node = digits("--node-id", args.node_id.as_deref().unwrap_or_default())?;
    Ok(Some(Sealing { node: NodeId(node), key: Key::new(key(path)?) }))
}

fn credentials(args: &Args) -> Result<Option<Credentials>, String> {
    let Args { dev_eui: Some(dev_eui), join_eui: Some(join_eui), app_key_file: Some(path), .. } = args else {
        return Ok(None);
    };
    let (dev_eui, join_eui) = (digits("--dev-eui", dev_eui)?, digits("--join-eui", join_eui)?);
    Ok(Some(Credentials { dev_eui, join_eui, app_key: key(path)? }))
}

fn key<const N: usize>(path: &Path) -> Result<[u8; N], String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    digits(&path.display().to_string(), text.trim())
}

fn digits<const N: usize>(what: &str, text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| format!("{what} must have {} hexadecimal digits", 2 * N))?;
    Ok(bytes)
}
