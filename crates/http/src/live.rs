//! What happens, as server-sent events: made once a second for all browsers together, and kept a while for those that
//! come back.
//!
//! # What a browser may rely on
//! - Events have ids in order. Whoever names the last one it has is sent all since then, or `reset` where they are gone.
//! - `devices` has every device with new values once, with its newest ones. The more there is to say, the less often: a
//!   stream carries about [`BYTES_PER_SECOND`] at most.
//! - A browser that does not keep up is told `reset`, and slows nobody down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::ports::Clock as _;
use gateway_core::{AlertKind, BoundedMap, Severity, Timestamp};
use pipeline::clock::{SystemClock, monotonic};
use read_model::{Device, Item, Kind};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::drawings::Drawings;
use crate::overview::Overviews;
use crate::recent::Recent;
use crate::site::Site;
use crate::state::Sources;
use crate::views::{Acknowledgement, AlertView, DeviceState, Worst, state, worst};

/// How often new values are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Devices that are looked at before readings have their turn.
const AT_ONCE: usize = 64;
/// How often the overview is drawn up for the streams.
const OVERVIEW_TICKS: u32 = 2;
/// How long events are made on after the last browser has gone: it may come back.
const LINGER_TICKS: u32 = 60;
/// About what a stream carries, in bytes.
const BYTES_PER_SECOND: usize = 64 * 1024;
/// Events that are kept for browsers that come back: so many bytes, and at most so many.
const KEPT_BYTES: usize = 1024 * 1024;
const KEPT_EVENTS: usize = 256;

/// One event, as it is sent.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    /// The whole frame.
    pub(crate) frame: Bytes,
    /// Where it is about devices: each one's part.
    pub(crate) parts: Option<Vec<(Arc<str>, String)>>,
}

/// Makes events, and keeps recent values.
#[derive(Debug)]
pub(crate) struct Live {
    /// Tells this process's ids from those of another.
    epoch: String,
    kept: Mutex<Kept>,
    sender: broadcast::Sender<Arc<Event>>,
    recent: Mutex<Recent>,
    /// Alerts that were cleared in the last minutes, the newest first: the history does not have them yet.
    cleared: Mutex<VecDeque<AlertView>>,
    /// Devices, and metrics of them, whose anomalies somebody has just acknowledged; until when they are silent.
    acknowledged: Mutex<BoundedMap<Acknowledged, Timestamp>>,
}

/// A device, and a metric of it; none: all of them.
type Acknowledged = (String, Option<String>);

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    next: u64,
    /// The first number that is still known: those before were made while nobody listened, or are gone.
    first: u64,
}

/// A device with new values.
#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heard: Option<String>,
    state: DeviceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    metrics: BTreeMap<&'a str, PartMetric>,
}

#[derive(Serialize)]
struct PartMetric {
    value: f64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raised: Option<&'static str>,
}

/// How a stream begins.
pub(crate) struct Begin {
    /// What came since the last event that the browser has; none where that is gone.
    pub(crate) missed: Option<Vec<Arc<Event>>>,
    pub(crate) receiver: broadcast::Receiver<Arc<Event>>,
}

impl Live {
    pub(crate) fn new(epoch: u64) -> Self {
        let sender = broadcast::Sender::new(64);
        Self {
            epoch: format!("{epoch:x}"),
            kept: Mutex::default(),
            sender,
            recent: Mutex::default(),
            cleared: Mutex::default(),
            acknowledged: Mutex::new(BoundedMap::new(KEPT_EVENTS)),
        }
    }

    /// Anomalies of this device that are cleared next are so because somebody has acknowledged them.
    pub(crate) fn acknowledge(&self, device: &str, metric: Option<&str>, until: Timestamp) {
        lock(&self.acknowledged).insert((device.to_owned(), metric.map(str::to_owned)), until);
    }

    /// Until when somebody wants to hear nothing of this anomaly.
    fn acknowledgement(&self, alert: &AlertView) -> Option<Acknowledgement> {
        let acknowledged = lock(&self.acknowledged);
        let of = |metric: Option<String>| acknowledged.get(&(alert.device.clone(), metric));
        let until = of(alert.metric.clone()).or_else(|| of(None))?;
        Some(Acknowledgement { until: until.to_string() }).filter(|_| *until > SystemClock.now())
    }

    /// Alerts that were cleared lately, the newest first.
    pub(crate) fn cleared(&self) -> Vec<AlertView> {
        lock(&self.cleared).iter().cloned().collect()
    }

    /// The id of an event.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// Follows from now on, or from the event after `last`.
    pub(crate) fn follow(&self, last: Option<&str>) -> Begin {
        let kept = lock(&self.kept);
        let receiver = self.sender.subscribe();
        let number =
            last.and_then(|last| last.strip_prefix(&self.epoch)?.strip_prefix('-')?.parse::<u64>().ok());
        let known = number.filter(|number| number.saturating_add(1) >= kept.first && *number < kept.next);
        let missed = known
            .map(|number| kept.events.iter().filter(|event| event.number > number).map(Arc::clone).collect());
        Begin { missed, receiver }
    }

    /// Values of the last minutes.
    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// How many browsers follow.
    pub(crate) fn followers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Runs until stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        sources: Sources,
        overviews: Overviews,
        drawings: Drawings,
        stop: CancellationToken,
    ) {
        let run = self.make_events(sources, overviews, drawings);
        stop.run_until_cancelled(run).await;
    }

    async fn make_events(&self, sources: Sources, overviews: Overviews, drawings: Drawings) {
        let follower = sources.read_model.follow();
        let mut results = sources.read_model.results();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut until_overview, mut pause, mut linger) = (0, 0, 0);
        let mut changed: BTreeMap<Arc<str>, Arc<Device>> = BTreeMap::new();
        loop {
            tokio::select! {
                item = results.recv() => match item {
                    Ok(item) if item.kind == Kind::Alert => {
                        drawings.forget();
                        let site = Arc::clone(&sources.site.borrow());
                        self.alert(&item, &site);
                    }
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                _ = ticks.tick() => {
                    let devices = follower.take();
                    drawings.forget_old(monotonic());
                    if self.followers() > 0 {
                        linger = LINGER_TICKS;
                    }
                    let followed = linger > 0;
                    for names in devices.chunks(AT_ONCE) {
                        for device in names.iter().filter_map(|name| sources.read_model.device(name)) {
                            self.recent().take(&device);
                            if followed {
                                changed.insert(Arc::clone(&device.name), device);
                            }
                        }
                        tokio::task::yield_now().await;
                    }
                    if !followed {
                        continue;
                    }
                    linger -= 1;
                    if linger == 0 {
                        self.forget();
                        changed.clear();
                        continue;
                    }
                    if pause > 0 {
                        pause -= 1;
                    } else if !changed.is_empty() {
                        let bytes = self.devices(&std::mem::take(&mut changed), &worst(&sources.read_model.alerts())).await;
                        pause = bytes / BYTES_PER_SECOND;
                    }
                    if until_overview > 0 {
                        until_overview -= 1;
                        continue;
                    }
                    until_overview = OVERVIEW_TICKS - 1;
                    if let Some(now) = overviews.json().await {
                        self.send("overview", &now, None);
                    }
                }
            }
        }
    }

    fn alert(&self, item: &Item, site: &Site) {
        let record = serde_json::from_str::<Value>(&item.json).ok();
        if let Some(mut alert) = record.as_ref().and_then(|record| AlertView::of_record(record, site)) {
            if alert.cleared.is_some() && alert.kind == AlertKind::Anomaly.as_str() {
                alert.acknowledged = self.acknowledgement(&alert);
            }
            self.send("alert", &serde_json::to_vec(&alert).unwrap_or_default(), None);
            if alert.cleared.is_some() {
                let mut cleared = lock(&self.cleared);
                cleared.truncate(KEPT_EVENTS - 1);
                cleared.push_front(alert);
            }
        }
    }

    /// Returns how many bytes it took.
    async fn devices(&self, changed: &BTreeMap<Arc<str>, Arc<Device>>, worst: &Worst) -> usize {
        let mut parts: Vec<(Arc<str>, String)> = Vec::with_capacity(changed.len());
        for device in changed.values() {
            parts.push((Arc::clone(&device.name), part(device, worst)));
            if parts.len().is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        let data = devices_data(&texts);
        let bytes = data.len();
        self.send("devices", data.as_bytes(), Some(parts));
        bytes
    }

    fn send(&self, name: &str, data: &[u8], parts: Option<Vec<(Arc<str>, String)>>) {
        let mut kept = lock(&self.kept);
        let number = kept.next;
        kept.next += 1;
        let event = Arc::new(Event { number, frame: frame(name, &self.id(number), data), parts });
        kept.bytes += event.frame.len();
        kept.events.push_back(Arc::clone(&event));
        while kept.bytes > KEPT_BYTES || kept.events.len() > KEPT_EVENTS {
            let Some(oldest) = kept.events.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.frame.len());
            kept.first = oldest.number + 1;
        }
        // Under the lock: who begins to follow has each event once.
        let _ = self.sender.send(event);
    }

    /// Nobody has followed for long: from here on there are gaps.
    fn forget(&self) {
        let mut kept = lock(&self.kept);
        kept.events.clear();
        kept.bytes = 0;
        kept.next += 1;
        kept.first = kept.next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part(device: &Device, worst: &Worst) -> String {
    let (state, severity) = state(device, worst);
    let metric = |series: &read_model::Series| PartMetric {
        value: series.value,
        time: series.at.to_string(),
        raised: series.raised.map(Severity::as_str),
    };
    let part = Part {
        name: &device.name,
        last_heard: device.last_heard.map(|at| at.to_string()),
        state,
        severity: severity.map(Severity::as_str),
        metrics: device.series().iter().map(|series| (&*series.name, metric(series))).collect(),
    };
    serde_json::to_string(&part).unwrap_or_default()
}

/// The data of an event `devices`.
pub(crate) fn devices_data(parts: &[&str]) -> String {
    format!("{{\"devices\":[{}]}}", parts.join(","))
}

/// One server-sent event (HTML standard, section 9.2). JSON has no line break.
pub(crate) fn frame(name: &str, id: &str, data: &[u8]) -> Bytes {
    let mut frame = format!("event: {name}\nid: {id}\ndata: ").into_bytes();
    frame.extend_from_slice(data);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}
