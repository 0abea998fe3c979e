//! What earlier versions wrote into checkpoints and journals, as far as it differs from today's.

use std::collections::BTreeMap;

use aggregator::Aggregator;
use alerts::earlier::AlertsV2;
use gateway_core::{DropReason, MetricId, MetricKind, Now, Timestamp};
use serde::Deserialize;

use super::deliveries::Deliveries;
use super::engine::{Engine, Settings};
use super::judging::{Judging, MAX_SERIES};
use super::ledger::Ledger;
use super::registry::Registry;
use super::series::DeviceSeries;
use super::step::{AdapterIndex, Batch, Correction, NewNames, Step};

/// The settings of checkpoints up to version 2 and of steps up to version 1.
#[derive(Deserialize)]
pub(super) struct EarlierSettings {
    windows: aggregator::Settings,
    kinds: BTreeMap<String, MetricKind>,
    zones: BTreeMap<String, String>,
    rules: Vec<alerts::Rule>,
    anomaly: bool,
    upstream: bool,
}

impl From<EarlierSettings> for Settings {
    fn from(earlier: EarlierSettings) -> Self {
        let EarlierSettings { windows, kinds, zones, rules, anomaly, upstream } = earlier;
        let judging = anomaly.then(|| Judging {
            timezone: "UTC".into(),
            hold: alerts::DEFAULT_HOLD,
            max_series: MAX_SERIES,
        });
        Self { windows, kinds, zones, rules, upstream, judging }
    }
}

/// A step as version 1 wrote it, and version 0 with two zero bytes at its end.
#[derive(Deserialize)]
pub(super) struct StepV1 {
    now: Now,
    stepped_from: Option<Timestamp>,
    settings: Option<Box<EarlierSettings>>,
    begins_after: Option<u64>,
    names: NewNames,
    batches: Vec<Batch>,
    away_since: Option<Timestamp>,
    corrections: Vec<Correction>,
}

impl From<StepV1> for Step {
    fn from(v1: StepV1) -> Self {
        let StepV1 { now, stepped_from, settings, begins_after, names, batches, away_since, corrections } =
            v1;
        let settings = settings.map(|earlier| Box::new(Settings::from(*earlier)));
        let mut step = Self::tick(now, stepped_from, names.first);
        step.settings = settings;
        step.begins_after = begins_after;
        step.names = names;
        step.batches = batches;
        step.away_since = away_since;
        step.corrections = corrections;
        step
    }
}

/// The checkpoint of version 1: one postcard of everything, before the ledger knew accounts. Its readings become those
/// of the account "earlier".
#[derive(Deserialize)]
pub(super) struct EngineV1 {
    settings: EarlierSettings,
    registry: Registry,
    windows: Aggregator,
    alerts: AlertsV2,
    series: Vec<SeriesV2>,
    ledger: LedgerV1,
    deliveries: BTreeMap<AdapterIndex, Deliveries>,
}

impl From<EngineV1> for Engine {
    fn from(v1: EngineV1) -> Self {
        let EngineV1 { settings, registry, windows, alerts, series, ledger, deliveries } = v1;
        Self {
            windows,
            alerts: alerts.into(),
            registry,
            series: series.into_iter().map(DeviceSeries::from).collect(),
            ledger: Ledger::from(ledger),
            deliveries,
            ..Self::new(settings.into())
        }
    }
}

/// The series of a device up to version 2. Their models are learnt anew: the present ones know other things.
#[derive(Deserialize)]
pub(super) struct SeriesV2(Vec<(MetricId, Option<ModelV2>)>);

/// Kind, newest, behind, readings, age; then what the level and the stuck detector knew.
type ModelV2 = (MetricKind, Option<Timestamp>, u8, u32, u64, LevelV2, StuckV2);
type LevelV2 = (u32, u32, u32, f64, f64, f64, f64, f64, f64);
type StuckV2 = (f64, f64, f64, u32, u64, f64, u32);

impl From<SeriesV2> for DeviceSeries {
    fn from(SeriesV2(series): SeriesV2) -> Self {
        Self::of_metrics(series.into_iter().map(|(metric, _)| metric))
    }
}

#[derive(Deserialize)]
struct LedgerV1 {
    taken: BTreeMap<AdapterIndex, u64>,
    dropped: BTreeMap<(AdapterIndex, DropReason), u64>,
    before: u64,
    without_upstream: u64,
}

impl From<LedgerV1> for Ledger {
    fn from(v1: LedgerV1) -> Self {
        let mut ledger = Self::default();
        ledger.take(
            AdapterIndex::EARLIER,
            v1.taken.values().fold(v1.before, |sum, readings| sum.saturating_add(*readings)),
        );
        for ((_, reason), readings) in v1.dropped {
            ledger.drop(AdapterIndex::EARLIER, reason, readings);
        }
        if v1.without_upstream > 0 {
            ledger.drop(AdapterIndex::EARLIER, DropReason::NoUpstream, v1.without_upstream);
        }
        ledger
    }
}
