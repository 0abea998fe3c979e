//! `gateway.toml` as types. Their doc comments are the text of the reference and of the example's comments.
//!
//! Every default lives here and nowhere else. Tables that belong to another room are defined there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapters::lorawan::config::LorawanDevice;
use gateway_core::settings::{ByteSize, HumanDuration, Secret};
use gateway_core::{MetricKind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use super::action::Action;
use pipeline::engine::judging::MAX_SERIES;

/// Riser's whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// This gateway.
    pub(crate) gateway: Gateway,
    /// The cloud broker that aggregates and alerts go to. Without this table nothing is sent.
    pub(crate) upstream: Option<sinks::upstream_mqtt::config::Config>,
    /// The embedded MQTT broker for the building's own devices (v5 and v3.1.1). Without this table there is none.
    pub(crate) broker: Option<broker::config::Config>,
    /// Where readings come from: one table per kind of link, and in it one per name.
    pub(crate) adapters: adapters::config::Config,
    /// What is known about devices beyond what they say themselves. The name is how the device is called upstream.
    pub(crate) devices: BTreeMap<String, Device>,
    /// Windows over event time, aligned to the Unix epoch.
    pub(crate) aggregate: Aggregate,
    /// The model that notices what is unlike a device's past.
    pub(crate) anomaly: Anomaly,
    /// Rules for what somebody should know at once. The name is the rule's: `[alerts.too-hot]`.
    pub(crate) alerts: BTreeMap<String, Alert>,
    /// Readings of open windows on disk, so that they survive a crash.
    pub(crate) journal: Journal,
    /// Windows of devices on disk, for `riser train` and `[anomaly] retrain`. Without this table there are none.
    pub(crate) history: Option<History>,
}

/// This gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    /// Its name upstream: letters, digits, `-` and `_`. Default: the host's name.
    #[schemars(example = "hq-north")]
    pub(crate) id: Option<String>,
    /// First topic level upstream.
    pub(crate) prefix: String,
    /// Where Riser keeps its outbox, journal and broker sessions.
    pub(crate) data_dir: PathBuf,
    /// Time zone of days and weeks in the anomaly model. Default: the machine's.
    #[schemars(example = "Europe/Paris")]
    pub(crate) timezone: Option<String>,
    /// What becomes of devices that no `[devices.*]` names.
    pub(crate) unknown_devices: UnknownDevices,
    /// How many devices may be known at once; readings of any beyond are refused and counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_devices: u32,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            id: None,
            prefix: "building".to_owned(),
            data_dir: PathBuf::from("/var/lib/riser"),
            timezone: None,
            unknown_devices: UnknownDevices::default(),
            max_devices: 10_000,
        }
    }
}

impl Gateway {
    /// `timezone`, or the machine's; UTC where the machine's has no name.
    #[must_use]
    pub(crate) fn timezone(&self) -> String {
        let machine = || jiff::tz::TimeZone::system().iana_name().map(str::to_owned);
        self.timezone.clone().or_else(machine).unwrap_or_else(|| "UTC".to_owned())
    }

    /// `id`, or the host's name with every other character than letters, digits, `-` and `_` turned to `-`;
    /// `riser` where the host has none.
    #[must_use]
    pub(crate) fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| {
            let host = hostname::get().unwrap_or_default().to_string_lossy().into_owned();
            let host = if host.is_empty() { "riser".to_owned() } else { host };
            host.chars().map(|c| if is_id_char(c) { c } else { '-' }).collect()
        })
    }
}

/// Whether `c` may stand in a gateway's id.
pub(crate) const fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// What becomes of devices that no `[devices.*]` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownDevices {
    /// They are taken under the name they give themselves.
    #[default]
    Accept,
    /// Their readings are dropped and counted.
    Ignore,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Device {
    /// As the device names itself: a topic's name, a MAC, a DevEUI. Default: the name of this table.
    #[schemars(example = "A4:C1:38:8D:18:B2")]
    pub(crate) address: Option<String>,
    /// Where it is; levels are separated by `/`.
    #[schemars(example = "floor-1/lounge")]
    pub(crate) zone: Option<String>,
    /// What its payloads are, where `format` does not tell: a built-in codec, or a `.js` or `.toml` file.
    #[schemars(example = &"codecs/am307.js")]
    pub(crate) codec: Option<String>,
    /// Its numbers and keys, where it speaks LoRaWAN to `[adapters.lorawan.*]`.
    pub(crate) lorawan: Option<LorawanDevice>,
    /// The key that its Bluetooth advertisements are encrypted with: 32 hexadecimal digits, or 24.
    #[schemars(example = "231d39c1d7cc1ab1aee224cd096db932")]
    pub(crate) bindkey: Option<Secret>,
    /// A file with that key.
    #[schemars(example = &"lounge.bindkey")]
    pub(crate) bindkey_file: Option<PathBuf>,
    /// New names for its metrics: `rename = { tempc = "temperature" }`.
    #[schemars(example = example_rename())]
    pub(crate) rename: BTreeMap<String, String>,
    /// Corrections by metric (after `rename`): value × scale + offset.
    pub(crate) calibrate: BTreeMap<String, Calibration>,
}

fn example_rename() -> BTreeMap<String, String> {
    BTreeMap::from([("tempc".to_owned(), "temperature".to_owned())])
}

/// A linear correction: value × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Calibration {
    /// Multiplies the value.
    pub(crate) scale: f64,
    /// Is added after that.
    pub(crate) offset: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { scale: 1.0, offset: 0.0 }
    }
}

/// Windows over event time, aligned to the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Aggregate {
    /// Length of a window.
    pub(crate) window: HumanDuration,
    /// A window starts this often. Default: `window`; smaller: windows overlap.
    #[schemars(example = &"5m")]
    pub(crate) every: Option<HumanDuration>,
    /// A window is published when its end is this far past: by the clock, or by the device's own later readings.
    pub(crate) lateness: HumanDuration,
    /// A straggler for a window that ended within this time makes a corrected aggregate; an older one is dropped and counted.
    pub(crate) correct_for: HumanDuration,
    /// A reading further ahead of the clock is refused and counted.
    pub(crate) max_future: HumanDuration,
    /// Which percentiles to add, from 0 to 100: `[50, 95]` adds `p50` and `p95`.
    #[schemars(inner(range(min = 0, max = 100)))]
    pub(crate) percentiles: Vec<f64>,
    /// Whether there is also one aggregate per zone.
    pub(crate) by_zone: bool,
    /// What Riser should know about a metric. The name is the metric's: `[aggregate.metrics.energy]`.
    pub(crate) metrics: BTreeMap<String, Metric>,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self {
            window: HumanDuration::from_secs(300),
            every: None,
            lateness: HumanDuration::from_secs(10),
            correct_for: HumanDuration::from_secs(3600),
            max_future: HumanDuration::from_secs(3600),
            percentiles: Vec::new(),
            by_zone: false,
            metrics: BTreeMap::new(),
        }
    }
}

impl Aggregate {
    /// How often a window starts: `every`, or `window` where that is not set.
    #[must_use]
    pub(crate) fn every(&self) -> HumanDuration {
        self.every.unwrap_or(self.window)
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    /// How its values are to be understood. Default: `state` for booleans, `gauge` for numbers.
    #[schemars(example = &"counter")]
    pub(crate) kind: MetricKind,
}

/// The model that notices what is unlike a device's past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Anomaly {
    /// Whether it runs.
    pub(crate) enabled: bool,
    /// An alert is raised at this score or above; scores lie in 0..1.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) threshold: f64,
    /// An anomaly that was told is not told again for this long, twice as long each time it comes back, at most 30 days;
    /// something else, or clearly worse, is told at once. `"0s"`: always told.
    pub(crate) hold: HumanDuration,
    /// Most series (one metric of one device) with a model, which takes up to 16 KB of memory each; later ones are not
    /// judged, and status and `health` tell so.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_series: u32,
    /// Where there is `[history]`, the model of a device as a whole is fitted anew when this much has come since the last
    /// time. At least `"1s"`; less than a day is for trying. `"0s"`: only `riser train` does it.
    pub(crate) retrain: HumanDuration,
}

impl Default for Anomaly {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 0.5,
            hold: HumanDuration(alerts::DEFAULT_HOLD),
            max_series: MAX_SERIES,
            retrain: HumanDuration::from_secs(7 * 86_400),
        }
    }
}

/// One rule: one or more of `above`, `below`, `rises_by`, `falls_by`, `silent_for`, `anomaly`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alert {
    /// Which metric; only `silent_for` (the device as a whole) and `anomaly` (any metric) can do without.
    #[schemars(example = &"temperature")]
    pub(crate) metric: Option<String>,
    /// Raise where a value is above this.
    #[schemars(example = 40.0)]
    pub(crate) above: Option<f64>,
    /// Raise where a value is below this.
    #[schemars(example = 5.0)]
    pub(crate) below: Option<f64>,
    /// Raise where the value rises by this much within `within`.
    #[schemars(example = 3.0)]
    pub(crate) rises_by: Option<f64>,
    /// Raise where the value falls by this much within `within`.
    #[schemars(example = 3.0)]
    pub(crate) falls_by: Option<f64>,
    /// The time over which `rises_by` and `falls_by` look back.
    #[schemars(example = &"10m")]
    pub(crate) within: Option<HumanDuration>,
    /// Raise where nothing is heard for this long.
    #[schemars(example = &"15m")]
    pub(crate) silent_for: Option<HumanDuration>,
    /// Raise where the anomaly model's score is at or above this; scores lie in 0..1.
    #[schemars(range(min = 0, max = 1), example = 0.8)]
    pub(crate) anomaly: Option<f64>,
    /// How long the condition must hold before the alert is raised.
    pub(crate) r#for: HumanDuration,
    /// Hysteresis: how far the value must come back from the limit before the alert is cleared.
    pub(crate) clear_by: f64,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// For which devices: names with `*` and `?`.
    pub(crate) devices: Vec<String>,
    /// For which zones: names with `*` and `?`. None given: also devices without a zone.
    #[schemars(example = ["floor-1/*"])]
    pub(crate) zones: Vec<String>,
    /// What to send when the alert is raised.
    pub(crate) actions: Vec<Action>,
}

impl Default for Alert {
    fn default() -> Self {
        Self {
            metric: None,
            above: None,
            below: None,
            rises_by: None,
            falls_by: None,
            within: None,
            silent_for: None,
            anomaly: None,
            r#for: HumanDuration::default(),
            clear_by: 0.0,
            severity: Severity::default(),
            devices: vec!["*".to_owned()],
            zones: Vec::new(),
            actions: Vec::new(),
        }
    }
}

/// Readings of open windows on disk, so that they survive a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// Whether there is one.
    pub(crate) enabled: bool,
    /// What a power cut can take; `"0s"`: readings are on disk before they are acknowledged.
    pub(crate) sync_every: HumanDuration,
}

impl Default for Journal {
    fn default() -> Self {
        Self { enabled: true, sync_every: HumanDuration::from_secs(1) }
    }
}

/// Windows of devices on disk, for `riser train` and `[anomaly] retrain`. Without this table there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    /// How long a window is kept; `"0s"`: nothing is stored.
    pub(crate) keep: HumanDuration,
    /// Where the file would grow beyond this, the oldest windows go first.
    pub(crate) max_size: ByteSize,
}

impl Default for History {
    fn default() -> Self {
        Self { keep: HumanDuration::from_secs(30 * 86_400), max_size: ByteSize::mib(512) }
    }
}
