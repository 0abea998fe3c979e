//! `gateway.toml` as types. Their doc comments are the text of the reference and of the example's comments.
//!
//! Every default lives here and nowhere else. Tables that belong to another crate are defined there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapters::Adapters;
use adapters::site::Site;
use gateway_core::listener::Listener;
use gateway_core::settings::{ByteSize, Device, HumanDuration};
use gateway_core::{MetricKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sinks::Sinks;

mod alert;

pub use alert::{Action, Alert, Escalate, On, SilentFor, StateValue};

/// Most percentiles: the aggregator's limit.
pub const MAX_PERCENTILES: usize = 32;

/// Most series that the anomaly model judges, where the configuration does not say otherwise.
pub const MAX_SERIES: u32 = 10_000;

/// Riser's whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This gateway.
    pub gateway: Gateway,
    /// The cloud broker that aggregates and alerts go to. Without this table nothing is sent.
    pub upstream: Option<sinks::upstream::config::Config>,
    /// The embedded broker for the building's own devices (v5 and v3.1.1). Without this table there is none.
    pub broker: Option<broker::config::Config>,
    /// Where readings come from: one table per kind of link, and in it one per name.
    #[serde(skip)]
    #[schemars(skip)]
    pub adapters: Adapters,
    /// Where results go beside the cloud: one table per kind of sink, and in it one per name.
    #[serde(skip)]
    #[schemars(skip)]
    pub sinks: Sinks,
    /// What is known about devices beyond what they say themselves. The name is how the device is called upstream.
    pub devices: BTreeMap<String, Device>,
    /// Windows over event time, aligned to the Unix epoch.
    pub aggregate: Aggregate,
    /// The model that notices what is unlike a device's past.
    pub anomaly: Anomaly,
    /// Rules for what somebody should know at once. The name is the rule's: `[alerts.too-hot]`.
    pub alerts: BTreeMap<String, Alert>,
    /// Readings of open windows on disk, so that they survive a crash.
    pub journal: Journal,
    /// Windows of devices on disk, what they give by the hour and by the day, and alerts: for the dashboard, `riser export`,
    /// `riser train` and `[anomaly] retrain`. Without this table there is nothing.
    pub history: Option<History>,
    /// The web page of the gateway, its API under `/api/v1` and its metrics under `/metrics`. Without this table there are none.
    pub http: Option<gateway_http::config::Config>,
}

impl Config {
    /// What kinds of adapters may know of the configuration around them; `gateway` is the gateway's id.
    #[must_use]
    pub fn site<'a>(&'a self, gateway: &'a str, now: Timestamp) -> Site<'a> {
        Site {
            gateway,
            data_dir: &self.gateway.data_dir,
            timezone: self.gateway.timezone.as_deref(),
            devices: &self.devices,
            addresses: self.adapters.kinds().flat_map(|kind| kind.addresses()).collect(),
            has_broker: self.broker.is_some(),
            now,
        }
    }

    /// Every address that the gateway listens on.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        let broker = self.broker.iter().flat_map(broker::check::listeners);
        let http = self.http.iter().map(gateway_http::check::listener);
        broker.chain(http).chain(self.adapters.kinds().flat_map(|kind| kind.listeners())).collect()
    }
}

/// This gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Its name upstream: letters, digits, `-` and `_`. Default: the host's name.
    #[schemars(example = "hq-north")]
    pub id: Option<String>,
    /// First topic level upstream.
    pub prefix: String,
    /// Where Riser keeps its data: docs/storage.md lists the files.
    pub data_dir: PathBuf,
    /// Time zone of days and weeks in the anomaly model. Default: the machine's.
    #[schemars(example = "Europe/Paris")]
    pub timezone: Option<String>,
    /// What becomes of devices that no `[devices.*]` names.
    pub unknown_devices: UnknownDevices,
    /// How many devices may be known at once; readings of any beyond are refused and counted.
    #[schemars(range(min = 1, max = 131_072))]
    pub max_devices: u32,
    /// How often `health` is sent, from `1s` to `60s`.
    pub health_every: HumanDuration,
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
            health_every: HumanDuration::from_secs(60),
        }
    }
}

impl Gateway {
    /// `timezone`, or the machine's; UTC where the machine's has no name.
    #[must_use]
    pub fn timezone(&self) -> String {
        let machine = || jiff::tz::TimeZone::system().iana_name().map(str::to_owned);
        self.timezone.clone().or_else(machine).unwrap_or_else(|| "UTC".to_owned())
    }

    /// `id`, or the host's name with every other character than letters, digits, `-` and `_` turned to `-`;
    /// `riser` where the host has none.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
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
pub enum UnknownDevices {
    /// They are taken under the name they give themselves.
    #[default]
    Accept,
    /// Their readings are dropped and counted.
    Ignore,
}

/// Windows over event time, aligned to the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregate {
    /// Length of a window.
    pub window: HumanDuration,
    /// A window starts this often. Default: `window`; smaller: windows overlap.
    #[schemars(example = &"5m")]
    pub every: Option<HumanDuration>,
    /// A window is published when its end is this far past: by the clock, or by the device's watermark (its newest reading).
    pub lateness: HumanDuration,
    /// A late reading for a window that ended within this time makes a corrected aggregate; an older one is dropped and counted.
    pub correct_for: HumanDuration,
    /// A reading further ahead of the clock is refused and counted.
    pub max_future: HumanDuration,
    /// Which percentiles to add, at most 32, from 0 to 100: `[50, 95]` adds `p50` and `p95`.
    #[schemars(inner(range(min = 0, max = 100)))]
    pub percentiles: Vec<f64>,
    /// Whether there is also one aggregate per zone.
    pub by_zone: bool,
    /// What Riser should know about a metric. The name is the metric's: `[aggregate.metrics.energy]`.
    pub metrics: BTreeMap<String, Metric>,
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
    pub fn every(&self) -> HumanDuration {
        self.every.unwrap_or(self.window)
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// How its values are to be understood. Default: `state` for booleans, `gauge` for numbers.
    #[schemars(example = &"counter")]
    pub kind: MetricKind,
}

/// The model that notices what is unlike a device's past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Anomaly {
    /// Whether it runs.
    pub enabled: bool,
    /// An alert is raised at this score or above; scores lie in 0..1.
    #[schemars(range(min = 0, max = 1))]
    pub threshold: f64,
    /// An anomaly that was reported is not reported again for this long, twice as long each time it comes back, at most 30 days;
    /// something else, or clearly worse, is reported at once. `"0s"`: always reported.
    pub hold: HumanDuration,
    /// Most series (one metric of one device) with a model, which takes up to 16 KB of memory each; later ones are not
    /// judged, and status and `health` say so.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_series: u32,
    /// Where there is `[history]`, the model of a device as a whole is fitted again when this much has come since the last
    /// time. At least `"1s"`; less than a day is for trying. `"0s"`: only `riser train` does it.
    pub retrain: HumanDuration,
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

/// Readings of open windows on disk, so that they survive a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Whether there is one.
    pub enabled: bool,
    /// What a power cut can take; `"0s"`: readings are on disk before they are acknowledged.
    pub sync_every: HumanDuration,
}

impl Default for Journal {
    fn default() -> Self {
        Self { enabled: true, sync_every: HumanDuration::from_secs(1) }
    }
}

/// Windows of devices on disk, what they give by the hour and by the day, and alerts: for the dashboard, `riser export`,
/// `riser train` and `[anomaly] retrain`. Without this table there is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// How long a window is kept; `"0s"`: nothing is stored.
    pub keep: HumanDuration,
    /// How long an hour's summary and an alert are kept; at least as long as `keep`.
    pub keep_hours: HumanDuration,
    /// How long a day's summary is kept; at least as long as an hour's.
    pub keep_days: HumanDuration,
    /// How long single readings are kept, one row a message; `"0s"`: none are stored.
    pub readings: HumanDuration,
    /// Where the file would grow beyond this, the oldest go first: single readings, then windows, then hours and alerts.
    pub max_size: ByteSize,
}

impl Default for History {
    fn default() -> Self {
        let days = |days: u64| HumanDuration::from_secs(days * 86_400);
        Self {
            keep: days(30),
            keep_hours: days(365),
            keep_days: days(3_650),
            readings: HumanDuration::from_secs(0),
            max_size: ByteSize::mib(512),
        }
    }
}
