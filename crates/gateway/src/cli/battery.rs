//! `riser battery`: how many years a battery lasts, from the currents of its states or for a node of our firmware.

use std::time::Duration;

use battery::lora::SpreadingFactor;
use battery::{Battery, Load, Node, State};
use clap::ValueEnum;
use gateway_core::settings::HumanDuration;

use super::{Exit, Failure, print_line};

mod parse;
mod report;

use parse::{Capacity, Percent, StateText};
use report::{Point, Report};

/// The intervals of the plot.
const INTERVALS: [u64; 8] = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200];

/// How much more or less often than asked, for a load without an interval.
const TIMES: [f64; 7] = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// The load, and the battery.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("load").required(true).args(["state", "node"])))]
pub(crate) struct Args {
    /// Of the battery, in mAh or Ah
    #[arg(long, value_name = "CAPACITY")]
    capacity: Capacity,
    /// A state: its current and its share of time; may be given again
    #[arg(long, value_name = "NAME=CURRENT:SHARE%")]
    state: Vec<StateText>,
    /// A node of our firmware instead of states: an STM32WL, an nRF52840 or a Pico W
    #[arg(long, value_name = "LINK")]
    node: Option<Link>,
    /// How often it reports
    #[arg(long, value_name = "DURATION", default_value = "10m", conflicts_with = "state")]
    every: HumanDuration,
    /// Bytes of a report's payload; of an advertisement's data with ble
    #[arg(long, value_name = "BYTES", default_value_t = 12, conflicts_with = "state")]
    payload: u16,
    /// LoRaWAN's spreading factor, 7 to 12
    #[arg(long, value_name = "FACTOR", default_value_t = 9, conflicts_with = "state")]
    sf: u8,
    /// How often BLE repeats a report
    #[arg(long, value_name = "EVENTS", default_value_t = battery::ADVERTISING_EVENTS, value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "state")]
    events: u32,
    /// What the battery loses by itself a year
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    self_discharge: Percent,
    /// Where the battery is, in °C; cold takes capacity, heat raises self-discharge
    #[arg(long, value_name = "CELSIUS", default_value_t = 20.0, allow_negative_numbers = true)]
    temperature: f64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// By what a node reports.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Link {
    /// STM32WL: LoRaWAN at 14 dBm
    Lorawan,
    /// nRF52840: BLE advertisements at 0 dBm
    Ble,
    /// Pico W: Wi-Fi and MQTT
    Wifi,
}

pub(crate) fn battery(args: &Args) -> Result<Exit, Failure> {
    let report = compute(args).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    print_line(&if args.json { report.json() } else { report.text() })?;
    Ok(Exit::Fine)
}

fn compute(args: &Args) -> Result<Report, battery::Error> {
    let battery =
        Battery::new(args.capacity.0)?.with_self_discharge(args.self_discharge.0)?.at(args.temperature)?;
    let (load, plot) = match args.node {
        Some(link) => {
            let node = node(args, link)?;
            (node.load(args.every.0)?, by_interval(&node, battery))
        }
        None => {
            let load = states(&args.state)?;
            let plot = by_frequency(&load, battery);
            (load, plot)
        }
    };
    let years = battery.years(load.milliamps())?;
    Ok(Report { capacity: args.capacity.0, battery, load, years, plot, by_interval: args.node.is_some() })
}

fn node(args: &Args, link: Link) -> Result<Node, battery::Error> {
    let bytes = usize::from(args.payload);
    match link {
        Link::Lorawan => Node::lorawan(SpreadingFactor::new(args.sf)?, bytes),
        Link::Ble => Node::ble(bytes, args.events),
        Link::Wifi => Ok(Node::wifi()),
    }
}

fn states(texts: &[StateText]) -> Result<Load, battery::Error> {
    let states = texts.iter().map(|text| State::new(&text.name, text.milliamps, text.percent));
    Load::new(states.collect::<Result<_, _>>()?)
}

/// Life at each interval that leaves time to sleep.
fn by_interval(node: &Node, battery: Battery) -> Vec<Point> {
    let point = |seconds| {
        let load = node.load(Duration::from_secs(seconds)).ok()?;
        let years = battery.years(load.milliamps()).ok()?;
        Some(Point {
            label: HumanDuration::from_secs(seconds).to_string(),
            seconds: Some(seconds),
            times: None,
            years,
        })
    };
    INTERVALS.into_iter().filter_map(point).collect()
}

/// Life if the node leaves its longest state more or less often.
fn by_frequency(load: &Load, battery: Battery) -> Vec<Point> {
    let point = |times| {
        let years = battery.years(load.as_often(times)?.milliamps()).ok()?;
        Some(Point { label: format!("x{times}"), seconds: None, times: Some(times), years })
    };
    TIMES.into_iter().filter_map(point).collect()
}
