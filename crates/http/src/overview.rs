//! The gateway as a whole, at a glance. Drawn up at most once a second, however many ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_core::Severity;
use gateway_core::ports::AdapterState;
use pipeline::clock::monotonic;
use pipeline::observe::health::Health;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::drawings::{Drawing, Drawings};
use crate::history_reader::{HistoryReader, HistoryView};
use crate::state::Sources;

/// How old an overview may be.
const FRESH: Duration = Duration::from_millis(900);

/// The gateway as a whole.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Overview {
    gateway: GatewayView,
    /// Whether there is nothing to do: no problem, no open alert, every adapter up, every sink without an error.
    well: bool,
    /// What is wrong at the moment, as texts.
    problems: Vec<String>,
    counts: Counts,
    /// Adapters, and the embedded broker, as in the `health` message.
    adapters: Value,
    /// Sinks, as in the `health` message.
    sinks: Value,
    /// The cloud; null without `[upstream]`.
    upstream: Option<Value>,
    /// What waits for the cloud.
    queue: Value,
    /// Where every reading is, as `riser audit --json` prints it.
    ledger: Value,
    /// In bytes.
    memory: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Value>,
    /// The local history; null without `[history]`.
    history: Option<HistoryView>,
    /// All zones, by name.
    zones: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct GatewayView {
    id: String,
    version: &'static str,
    time: String,
    /// Since the process was started, in seconds.
    uptime: u64,
    timezone: String,
    /// Whether the clock is set: `synced` or `unsynced`.
    time_quality: &'static str,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct Counts {
    devices: usize,
    /// Heard since the start.
    heard: usize,
    /// With an open alert.
    alerting: usize,
    /// Without a `[devices.*]` table.
    unnamed: usize,
    alerts: AlertCounts,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct AlertCounts {
    critical: usize,
    warning: usize,
    info: usize,
}

/// The newest overview, and when it was drawn up.
type Newest = Option<(Instant, Arc<Drawn>)>;

/// Draws up overviews. Clones share the newest.
#[derive(Clone)]
pub(crate) struct Overviews {
    sources: Sources,
    history: HistoryReader,
    drawings: Drawings,
    newest: Arc<Mutex<Newest>>,
}

/// One overview, in its forms.
pub(crate) struct Drawn {
    pub(crate) drawing: Drawing,
    pub(crate) health: Health,
}

impl Overviews {
    pub(crate) fn new(sources: Sources, history: HistoryReader, drawings: Drawings) -> Self {
        Self { sources, history, drawings, newest: Arc::default() }
    }

    /// As of now, or nearly; none where the pipeline has stopped.
    pub(crate) async fn now(&self) -> Option<Arc<Drawn>> {
        let mut newest = self.newest.lock().await;
        if let Some((at, drawn)) = &*newest
            && monotonic().duration_since(*at) < FRESH
        {
            return Some(Arc::clone(drawn));
        }
        let health = self.sources.health.now().await?;
        let (sources, history) = (self.sources.clone(), self.history.view().await);
        let draw = move || {
            let drawing = Drawing::of(&overview(&sources, &health, history));
            Drawn { drawing, health }
        };
        let drawn = Arc::new(self.drawings.draw(draw).await.ok()?);
        *newest = Some((monotonic(), Arc::clone(&drawn)));
        Some(drawn)
    }

    pub(crate) async fn json(&self) -> Option<Bytes> {
        Some(self.now().await?.drawing.json.clone())
    }
}

fn overview(sources: &Sources, health: &Health, history: Option<HistoryView>) -> Overview {
    let Sources { read_model, site, .. } = sources;
    let site = Arc::clone(&site.borrow());
    let devices = read_model.devices();
    let alerts = read_model.alerts();
    let of = |severity| alerts.iter().filter(|alert| alert.severity == severity).count();
    let alerting: BTreeSet<_> = alerts.iter().map(|alert| &alert.device).collect();
    let counts = Counts {
        devices: devices.len(),
        heard: devices.iter().filter(|device| device.last_heard.is_some()).count(),
        alerting: alerting.len(),
        unnamed: devices.iter().filter(|device| !site.named.contains_key(&*device.name)).count(),
        alerts: AlertCounts {
            critical: of(Severity::Critical),
            warning: of(Severity::Warning),
            info: of(Severity::Info),
        },
    };
    let adapters = read_model.adapters();
    let is_down = |state: &AdapterState| matches!(state, AdapterState::Down { .. });
    let working = !adapters.values().any(|health| is_down(&health.state))
        && health.sinks.values().all(|sink| sink.last_error.is_none());
    let upstream = health.upstream.as_ref().map(|upstream| {
        let mut upstream = json(upstream);
        if let (Some(fields), Some(url)) = (upstream.as_object_mut(), &site.upstream) {
            fields.insert("url".to_owned(), url.clone().into());
        }
        upstream
    });
    Overview {
        gateway: GatewayView {
            id: health.gateway.clone(),
            version: health.version,
            time: health.time.clone(),
            uptime: health.uptime,
            timezone: site.timezone.clone(),
            time_quality: health.time_quality,
        },
        well: health.problems.is_empty() && alerts.is_empty() && working && health.ledger.balanced,
        problems: health.problems.clone(),
        counts,
        adapters: json(&health.adapters),
        sinks: json(&health.sinks),
        upstream,
        queue: json(&health.queue),
        ledger: json(&health.ledger),
        memory: json(&health.memory),
        disk: health.disk.as_ref().map(json),
        history,
        zones: devices.iter().filter_map(|device| device.zone.as_deref().map(str::to_owned)).collect(),
    }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Adapters that are not up, by name: what `/readyz` waits for.
pub(crate) fn not_ready(sources: &Sources) -> BTreeMap<String, String> {
    let adapters = sources.read_model.adapters();
    let why = |state: &AdapterState| match state {
        AdapterState::Up => None,
        AdapterState::Starting => Some("starting".to_owned()),
        AdapterState::Down { reason } => Some(reason.clone()),
    };
    adapters.into_iter().filter_map(|(name, health)| Some((name, why(&health.state)?))).collect()
}
