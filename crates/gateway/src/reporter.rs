//! Tells the cloud how the gateway is doing: `online` when it is time, then `health` every minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::ports::{AdapterState, Clock as _};
use gateway_core::{Now, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{SystemClock, monotonic};
use crate::health::{self, DroppedRange, Health, Memory, Queue, UpstreamHealth};
use crate::pipeline::Control;
use crate::pipeline::ledger::Balance;
use crate::pipeline::payload::Identity;
use crate::supervisor::Supervisor;

/// How long `online` waits for adapters that are not there yet.
const ONLINE_PATIENCE: Duration = Duration::from_secs(10);

/// The ledger as of now; none where the pipeline is gone.
pub(crate) async fn balance(control: &mpsc::Sender<Control>) -> Option<Balance> {
    let (reply, answer) = oneshot::channel();
    control.send(Control::Balance(reply)).await.ok()?;
    answer.await.ok()
}

/// What it needs to know.
pub(crate) struct Reporter {
    pub(crate) identity: Identity,
    pub(crate) supervisor: Arc<tokio::sync::Mutex<Supervisor>>,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) outbox: Option<outbox::Handle>,
    pub(crate) upstream: crate::upstream::Speaker,
    pub(crate) started: Instant,
}

impl Reporter {
    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let missing = self.wait_for_adapters().await;
        self.upstream.say_online(&missing);
        let mut minute = tokio::time::interval(health::EVERY);
        minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            minute.tick().await;
            if let Some(health) = self.health().await {
                self.upstream.say_health(&health);
            }
        }
    }

    /// Returns the adapters that are not up after a bounded wait.
    async fn wait_for_adapters(&self) -> Vec<String> {
        let watched = self.supervisor.lock().await.watch();
        let all_up = async {
            for (_, mut state) in watched.clone() {
                // An adapter that is gone will not come up.
                let _ = state.wait_for(|state| *state == AdapterState::Up).await;
            }
        };
        let _ = tokio::time::timeout(ONLINE_PATIENCE, all_up).await;
        let is_up = |state: &tokio::sync::watch::Receiver<AdapterState>| *state.borrow() == AdapterState::Up;
        watched.iter().filter(|(_, state)| !is_up(state)).map(|(id, _)| id.to_string()).collect()
    }

    async fn health(&self) -> Option<Health> {
        let ledger = balance(&self.control).await?;
        let now = Now::at(SystemClock.now());
        let sink = self.upstream.state();
        let states: BTreeMap<_, _> = self.supervisor.lock().await.states();
        Some(Health {
            gateway: self.identity.id.clone(),
            time: now.at.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: monotonic().duration_since(self.started).as_secs(),
            time_quality: now.quality.as_str(),
            adapters: states.into_iter().map(|(name, state)| (name, state.into())).collect(),
            upstream: UpstreamHealth { published: sink.published, last_error: sink.last_error },
            queue: self.queue().await,
            ledger,
            memory: Memory::now(),
        })
    }

    async fn queue(&self) -> Queue {
        let Some(outbox) = &self.outbox else { return Queue::default() };
        let error = outbox.status().borrow().last_error.as_ref().map(ToString::to_string);
        let (totals, ranges) = tokio::join!(outbox.totals(), outbox.dropped());
        let totals = totals.unwrap_or_default();
        let dropped_ranges =
            ranges.unwrap_or_default().iter().rev().take(10).map(DroppedRange::from).collect();
        Queue {
            messages: totals.queued.entries,
            bytes: totals.queued_bytes,
            dropped: totals.dropped().entries,
            dropped_ranges,
            error,
        }
    }
}

impl From<&outbox::DroppedRange> for DroppedRange {
    fn from(range: &outbox::DroppedRange) -> Self {
        Self {
            from: range.seq_from,
            to: range.seq_to,
            readings: range.weight,
            reason: match range.reason {
                outbox::DropReason::Full => "outbox_full",
                outbox::DropReason::Refused => "upstream_refused",
            },
            time: Timestamp::from_millis(range.at_ms).to_string(),
        }
    }
}
