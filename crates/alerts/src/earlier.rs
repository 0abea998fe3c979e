//! [`Alerts`] as they were serialised before anomalies were held back and judged for devices as a whole.

use gateway_core::{MetricId, Oddity, Timestamp};
use serde::Deserialize;

use crate::lowest::Lowest;
use crate::order::Order;
use crate::rule::Rule;
use crate::silence::{Silence, Watch};
use crate::state::{self, Cause, Held, Seen, Standing};
use crate::subject::{self, Orphan};
use crate::told::Memory;
use crate::{Alerts, DEFAULT_HOLD};

/// What checkpoints of version 1 and 2 hold. What was raised or pending then still is.
#[derive(Debug, Deserialize)]
pub struct AlertsV2 {
    rules: Vec<Rule>,
    devices: Vec<Device>,
    orphans: Vec<Orphan>,
    watch: Watch,
    next_silence: Option<Timestamp>,
    next_due: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Device {
    _matched: bool,
    name: Box<str>,
    heard: Option<Timestamp>,
    silences: Vec<Silence>,
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: MetricId,
    matched: bool,
    name: Box<str>,
    heard: Option<Timestamp>,
    order: Order,
    standings: Vec<StandingV2>,
    silences: Vec<Silence>,
}

#[derive(Debug, Deserialize)]
struct StandingV2 {
    rule: u32,
    phase: Phase,
    calm: u8,
    last_anomaly: Option<Timestamp>,
    lows: Option<Box<Lowest>>,
    highs: Option<Box<Lowest>>,
}

#[derive(Debug, Deserialize)]
enum Phase {
    Calm,
    Pending(Box<Pending>),
    Raised { since: Timestamp, cause: Cause },
}

#[derive(Debug, Deserialize)]
struct Pending {
    since: Timestamp,
    arrived: Timestamp,
    held: Held,
    seen: SeenV2,
}

#[derive(Debug, Deserialize)]
struct SeenV2 {
    value: f64,
    score: f64,
    expected: Option<(f64, f64)>,
    stuck: bool,
}

impl From<AlertsV2> for Alerts {
    fn from(v2: AlertsV2) -> Self {
        let AlertsV2 { rules, devices, orphans, watch, next_silence, next_due } = v2;
        let devices = devices.into_iter().map(subject::Device::from).collect();
        Self { rules, devices, orphans, watch, next_silence, next_due, hold: DEFAULT_HOLD }
    }
}

impl From<Device> for subject::Device {
    fn from(device: Device) -> Self {
        // Rules are matched anew: some now speak of devices as a whole.
        let Device { _matched, name, heard, silences, series } = device;
        let series = series.into_iter().map(subject::Series::from).collect();
        Self { matched: false, name, heard, silences, series, ..Self::default() }
    }
}

impl From<Series> for subject::Series {
    fn from(series: Series) -> Self {
        let Series { metric, matched, name, heard, order, standings, silences } = series;
        let standings = standings.into_iter().map(Standing::from).collect();
        Self { metric, matched, name, heard, order, standings, silences, steady: subject::Steady::default() }
    }
}

impl From<StandingV2> for Standing {
    fn from(standing: StandingV2) -> Self {
        let StandingV2 { rule, phase, calm, last_anomaly, lows, highs } = standing;
        let phase = match phase {
            Phase::Calm => state::Phase::Calm,
            Phase::Pending(pending) => state::Phase::Pending(Box::new((*pending).into())),
            Phase::Raised { since, cause } => {
                state::Phase::Raised { since, cause, oddity: None, expected: None }
            }
        };
        Self { rule, phase, calm, memory: Memory::earlier(last_anomaly), lows, highs }
    }
}

impl From<Pending> for state::Pending {
    fn from(pending: Pending) -> Self {
        let Pending { since, arrived, held, seen } = pending;
        let SeenV2 { value, score, expected, stuck } = seen;
        let oddity = stuck.then_some(Oddity::Stuck);
        Self { since, arrived, held, seen: Seen { value: Some(value), score, expected, oddity } }
    }
}
