//! The command line: what can be asked of `riser`, and with which exit code it answers.

mod acknowledge;
mod advertisement;
mod audit;
mod battery;
#[cfg(feature = "ble")]
mod ble;
mod check;
mod config;
mod decode;
#[cfg(feature = "http")]
pub(crate) use decode::row as decode_row;
#[cfg(feature = "demo")]
mod demo;
mod detect;
mod exit;
mod export;
mod firmware;
#[cfg(feature = "http")]
mod http;
mod lines;
#[cfg(test)]
mod manual_tests;
mod output_target;
mod replay;
mod request;
mod run;
mod simulate;
mod sink;
mod tail;
mod time_text;
mod train;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gateway_core::settings::HumanDuration;

pub(crate) use exit::{Exit, Failure};

use gateway_config::LoadOptions;

/// Riser, an edge gateway for smart buildings: sensors in, aggregates and alerts out, nothing lost on the way.
#[derive(Debug, Parser)]
#[command(name = "riser", version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  riser demo                                   a whole simulated building, no configuration needed
  riser config example > gateway.toml          a commented configuration to start from
  riser check --config gateway.toml            every problem in it at once
  riser run --config gateway.toml              the gateway, until Ctrl-C
  riser tail alerts                            watch a running gateway
  riser audit                                  where every reading went

Logs go to stderr; RISER_LOG=debug says more. RISER_CONFIG names the configuration where --config does not;
RISER__UPSTREAM__URL=… overrides one key of it, --set upstream.url=… does too and wins.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    #[command(
        after_help = "Examples:\n  riser run\n  riser run --config /etc/riser/gateway.toml\n  riser run --set gateway.data_dir=/tmp/riser\n\nSIGHUP reads the configuration again."
    )]
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Read the configuration and print every problem at once
    #[command(
        after_help = "Examples:\n  riser check\n  riser check --config gateway.toml --deny-warnings\n\nExit code 78 where anything is wrong, 0 where not."
    )]
    Check {
        #[command(flatten)]
        config: ConfigArg,
        /// Leave the environment (RISER__…) out
        #[arg(long)]
        no_environment: bool,
        /// Exit 78 for warnings too
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Show a whole simulated building in one process
    #[cfg_attr(not(feature = "demo"), allow(dead_code, reason = "the arguments are parsed and refused"))]
    #[command(after_help = "Examples:\n  riser demo\n  riser demo --for 1m\n  riser demo --speed 5")]
    Demo {
        /// How many times faster the sensors send
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        /// Stop after this long
        #[arg(long = "for", value_name = "DURATION")]
        duration: Option<HumanDuration>,
    },
    /// Follow a running gateway
    #[command(
        after_help = "Examples:\n  riser tail\n  riser tail alerts\n  riser tail readings --device 'meter-*' --json"
    )]
    Tail {
        /// What to follow; everything but readings where left out
        #[arg(value_enum)]
        what: Option<tail::TailStream>,
        #[command(flatten)]
        config: ConfigArg,
        /// Only devices whose name matches
        #[arg(long, value_name = "GLOB")]
        device: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Put payloads through a codec
    #[command(
        after_help = "Examples:\n  riser decode --codec json 7b2274223a32317d\n  riser decode --codec codecs/am307.js --port 85 0367f600\n  riser decode --batch < payloads.jsonl\n\nA line of --batch: {\"codec\":\"json\",\"topic\":\"sensors/a/telemetry\",\"payload\":\"{\\\"t\\\":21}\"}"
    )]
    Decode {
        /// The codec's name, or its file (.js or .toml)
        #[arg(long, required_unless_present = "batch")]
        codec: Option<String>,
        /// LoRaWAN FPort
        #[arg(long, visible_alias = "fport")]
        port: Option<u8>,
        /// The key of a sealed node frame, in hexadecimal
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
        /// When it arrived, RFC 3339; default: now
        #[arg(long, value_name = "TIME")]
        time: Option<String>,
        /// The MQTT topic it came on
        #[arg(long, default_value = "")]
        topic: String,
        /// JSON lines from stdin to stdout
        #[arg(long, conflicts_with_all = ["codec", "hex", "time", "key"])]
        batch: bool,
        /// The payload in hexadecimal
        #[arg(required_unless_present = "batch")]
        hex: Option<String>,
    },
    /// Put recorded readings through windows, detectors and alerts
    #[command(
        after_help = "Examples:\n  riser replay last-week.csv\n  riser replay last-week.csv --alerts --set anomaly.threshold=0.7\n  riser tail readings --json > day.jsonl; riser replay day.jsonl --json\n\nCSV: a head line; `time`, `device`, and either `metric` and `value` or a column per metric.\nJSON lines: {\"time\":…,\"device\":…,\"metric\":…,\"value\":…} or {\"time\":…,\"device\":…,\"metrics\":{…}}.\n\nAt the end: alerts by series and detector, and the ledger."
    )]
    Replay(replay::Args),
    /// Put one series through the anomaly model
    #[command(
        after_help = "Examples:\n  riser detect boiler.csv > scored.csv\n  riser detect export.csv --column temperature --output scored.csv\n  tail -f -n +1 log.csv | riser detect - --set anomaly.threshold=0.7\n\nIn: CSV with a head line: timestamp,value. Times like 2014-04-01 00:00:00 (a local clock's), RFC 3339, or seconds since 1970.\nOut: timestamp,value,anomaly_score,alert; one row for each, also for those that cannot be read. alert is 1 from raise to clear."
    )]
    Detect(detect::Args),
    /// Fit the model of each device as a whole to its history, and store it
    #[command(
        after_help = "Examples:\n  riser train\n  riser train --device ahu-3 --config gateway.toml\n  riser train --history last-month.jsonl\n\nWithout --history: what the configured gateway has stored ([history]), also while it runs.\nA file: aggregates as they are published, one a line (`riser tail aggregates --json`), or readings as\n`riser replay` takes them. A device needs two metrics that vary and 200 windows.\nA running gateway takes new models when it reloads (SIGHUP)."
    )]
    Train {
        /// Only this device
        #[arg(long)]
        device: Option<String>,
        /// A recorded history instead of the gateway's own
        #[arg(long, value_name = "FILE")]
        history: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArg,
        /// One JSON object a device
        #[arg(long)]
        json: bool,
    },
    /// Write what the local history has as CSV or Parquet
    #[command(
        after_help = "Examples:\n  riser export --from -7d > week.csv\n  riser export --from 2026-11-01 --to 2026-12-01 --device 'meter-*' --output november.csv\n  riser export --from -365d --format parquet --output year.parquet\n\nColumns: device,metric,start,end,avg,min,max,std,count; times are UTC. A row is one metric of one window;\nwhere windows are no longer kept ([history] keep), of one hour; where hours are not, of one day.\nAlso while the gateway runs. Exit code 66: there is no history, or no such device;\n73: the file cannot be written."
    )]
    Export(export::Args),
    /// Show where every reading went; exit 1 where one is missing
    #[command(after_help = "Examples:\n  riser audit\n  riser audit --config gateway.toml --json")]
    Audit {
        #[command(flatten)]
        config: ConfigArg,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Send records to a sink again, or forget a sink that is gone
    Sink {
        #[command(subcommand)]
        what: sink::SinkCommand,
    },
    /// Take note of a device's anomalies, so that they are not reported again; without DEVICE, list what is raised
    #[command(
        after_help = "Examples:\n  riser acknowledge                                  what is raised\n  riser acknowledge lounge temperature               the sun shines on that sensor: we know\n  riser acknowledge boiler --for 90d                 everything of that device, for a season\n\nThe alert is cleared. The same thing is not raised again for the given time; something else, or clearly worse, is.\nAlerts of your own rules (threshold, rate, silence) cannot be acknowledged: they end with their cause.\nExit code 0 also where nothing was raised; 64: no such device or metric; 69: no gateway runs."
    )]
    Acknowledge {
        /// The device's name; left out: list what is raised
        device: Option<String>,
        /// Only this metric; else everything of the device
        metric: Option<String>,
        /// How long the same thing is not raised again
        #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
        hold: HumanDuration,
        #[command(flatten)]
        config: ConfigArg,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// List the nodes of our own firmware, and which version each runs
    #[command(
        after_help = "Examples:\n  riser firmware\n  riser firmware --config gateway.toml --json\n\nA node says its version after it has started and once a day. LOST: reports that it has given up since\nits start, because its memory was full or damaged, or the gateway refused them. Exit code 69: no gateway runs."
    )]
    Firmware {
        #[command(flatten)]
        config: ConfigArg,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// How many years a battery lasts, by currents and shares of time or for a node of our firmware
    #[command(
        after_help = "Examples:\n  riser battery --capacity 3000mAh --state sleep=20uA:99.7% --state measure=80mA:0.1% --state send=170mA:0.2%\n  riser battery --capacity 2400mAh --node lorawan --sf 9 --every 10m --self-discharge 1%\n  riser battery --capacity 230mAh --node ble --payload 18 --every 1m --temperature -10\n  riser battery --capacity 2400mAh --node lorawan --sf 12 --json\n\nTime that no state has draws no current. docs/firmware.md lists the numbers of the nodes and their sources."
    )]
    Battery(battery::Args),
    /// What Bluetooth sensors and beacons say
    Ble {
        #[cfg(feature = "ble")]
        #[command(subcommand)]
        what: ble::BleCommand,
        #[cfg(not(feature = "ble"))]
        #[allow(dead_code, reason = "the arguments are parsed and refused")]
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
    /// Send real protocol traffic at a gateway, or write weeks of a building as a recording
    #[command(
        after_help = "Examples:\n  riser simulate --target 127.0.0.1:1883 --protocol mqtt --devices 100 --rate 50\n  riser simulate --target mqtts://gateway:8883 --username floor1 --password-file floor1.password --devices 1000 --rate 500 --for 20s\n  riser simulate --target 127.0.0.1:5683 --protocol coap --devices 100 --rate 50\n  riser simulate --target 127.0.0.1:5684 --protocol coaps --psk-identity sensor01 --psk-file sensor01.psk --devices 1\n  riser simulate --target gateway:5684 --protocol coaps --psk-identity '{device}' --psk-file floor1.psk --devices 50\n  riser simulate --protocol lorawan --print-config --devices 100 >> gateway.toml\n  riser simulate --target 127.0.0.1:1700 --protocol lorawan --devices 100 --rate 10 --for 1m\n  riser simulate --days 30 > month.jsonl; riser replay month.jsonl --alerts\n  riser simulate --days 30 --from 2026-07-06 --every 1m --seed 2 > july.jsonl\n  riser simulate --days 30 --fault stuck@climate-101 --fault drift@climate-106/co2+12d > faulty.jsonl\n\nFaults: stuck, offset, drift, spike, dropout, noise, dead-battery, heating-at-night, window-open.\nThe month is the same for the same seed and beginning; local time is UTC."
    )]
    Simulate(simulate::Args),
    /// Open the web page to the network, or make its certificate
    #[cfg(feature = "http")]
    Http {
        #[command(subcommand)]
        what: http::HttpCommand,
    },
    /// Print the commented example, the reference or the JSON Schema of the configuration
    #[command(
        after_help = "Examples:\n  riser config example > gateway.toml\n  riser config schema > gateway.schema.json"
    )]
    Config {
        /// Which
        #[arg(value_enum)]
        what: config::ConfigOutput,
    },
}

/// Which configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConfigArg {
    /// The configuration; else RISER_CONFIG, ./gateway.toml, /etc/riser/gateway.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One key of it, over file and environment; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl ConfigArg {
    fn options(&self, environment: bool) -> LoadOptions {
        LoadOptions { path: self.config.clone(), environment, set: self.set.clone() }
    }
}

/// Reads the command line, does what it says, prints what went wrong.
pub(crate) fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, not to users.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Fine };
        }
    };
    match dispatch(cli.command) {
        Ok(exit) => exit,
        Err(Failure { exit, message }) => {
            if !message.is_empty() {
                let _ = writeln!(std::io::stderr(), "riser: {message}");
            }
            exit
        }
    }
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run { config } => run::run(&config),
        Command::Check { config, no_environment, deny_warnings } => {
            check::check(&config, !no_environment, deny_warnings)
        }
        #[cfg(feature = "demo")]
        Command::Demo { speed, duration } => demo::demo(speed, duration.map(|d| d.0)),
        #[cfg(not(feature = "demo"))]
        Command::Demo { .. } => Err(Failure::left_out("the demo", "demo")),
        Command::Tail { what, config, device, json } => tail::tail(what, &config, device, json),
        Command::Decode { batch: true, .. } => decode::batch(),
        Command::Decode { codec, port, key, time, topic, hex, .. } => {
            let codec = codec.unwrap_or_default();
            decode::single(&codec, port, key, time, &topic, &hex.unwrap_or_default())
        }
        Command::Replay(args) => replay::replay(&args),
        Command::Detect(args) => detect::detect(&args),
        Command::Train { device, history, config, json } => {
            train::train(device.as_deref(), history.as_deref(), &config, json)
        }
        Command::Export(args) => export::export(&args),
        Command::Audit { config, json } => audit::audit(&config, json),
        Command::Sink { what } => sink::sink(what),
        Command::Acknowledge { device, metric, hold, config, json } => {
            acknowledge::acknowledge(device, metric, hold, &config, json)
        }
        Command::Firmware { config, json } => firmware::firmware(&config, json),
        Command::Battery(args) => battery::battery(&args),
        #[cfg(feature = "ble")]
        Command::Ble { what } => ble::ble(what),
        #[cfg(not(feature = "ble"))]
        Command::Ble { .. } => Err(Failure::left_out("Bluetooth", "ble")),
        #[cfg(feature = "http")]
        Command::Http { what } => http::http(what),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Config { what } => config::print(what),
    }
}

/// The runtime of every command that does IO at the same time as something else. One thread: messages that come together are
/// handled together, and none waits for another thread to wake. With two, the embedded broker and the pipeline took half
/// as much CPU again (docs/decisions/0025). The kind with one thread handles connections in the order in which their
/// packets came; the other kind takes the last one first.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        // So that a thousand connections with a packet each are one round.
        .event_interval(1024)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start threads: {error}")))
}

/// Writes a line to stdout; a reader that went away ends the command quietly.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|error| Failure::stdout(&error))
}
