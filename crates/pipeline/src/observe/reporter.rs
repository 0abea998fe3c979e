//! Publishes how the gateway is doing: `online` once the adapters are up, then `health` every `gateway.health_every`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::{AdapterState, Clock as _};
use gateway_core::{AdapterHealth, Now};
use tokio::time::{Interval, MissedTickBehavior};

use super::audit::Auditor;
use super::health::{Health, Memory, Queue, UpstreamHealth};
use crate::clock::SystemClock;
use crate::deliver::records::Identity;
use crate::problems::Problems;
use read_model::ReadModel;

/// How long `online` waits for adapters that are not up yet.
const ADAPTERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the status is compared with the adapters' states.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Ranges of dropped messages in one health message.
const RANGES: usize = 10;

/// The connection to the cloud, as far as the reporter needs it.
pub trait StatusSink {
    /// Publishes the retained status. `missing`: adapters that are not up.
    fn publish_online(&self, missing: &[String], problems: &[String]);
    fn publish_health(&self, health: &Health);
    /// How the connection is doing.
    fn health(&self) -> UpstreamHealth;
}

/// What it needs to know.
pub struct Reporter<S> {
    pub identity: Identity,
    pub read_model: ReadModel,
    pub auditor: Auditor,
    pub outbox: Option<outbox::Handle>,
    /// The sink whose counters are reported as the queue.
    pub ledger_sink: Arc<str>,
    pub upstream: S,
    pub problems: Problems,
    pub health_every: Duration,
}

impl<S: StatusSink> Reporter<S> {
    /// Runs until it is dropped.
    pub async fn run(mut self) {
        self.wait_for_adapters().await;
        let mut missing = self.missing();
        self.publish_online(&missing);
        let mut health = every(self.health_every);
        let mut look = every(STATUS_INTERVAL);
        loop {
            tokio::select! {
                _ = health.tick() => {}
                _ = look.tick() => {
                    let now_missing = self.missing();
                    if now_missing == missing {
                        continue;
                    }
                    missing = now_missing;
                    self.publish_online(&missing);
                }
                changed = self.problems.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.publish_online(&missing);
                }
            }
            if let Some(health) = self.health().await {
                self.upstream.publish_health(&health);
            }
        }
    }

    fn publish_online(&mut self, missing: &[(String, bool)]) {
        let problems = self.problems.borrow_and_update().clone();
        let names: Vec<_> = missing.iter().map(|(name, _)| name.clone()).collect();
        self.upstream.publish_online(&names, &problems);
    }

    /// Returns once all are up, or after a bounded wait.
    async fn wait_for_adapters(&self) {
        let watched = self.read_model.watch_adapters();
        let all_up = async {
            for (_, mut state) in watched {
                // An adapter that is gone will not come up.
                let _ = state.wait_for(|health| health.state == AdapterState::Up).await;
            }
        };
        let _ = tokio::time::timeout(ADAPTERS_TIMEOUT, all_up).await;
    }

    /// The adapters that are not up, and whether they are down: one that is starting may go down, which is news.
    fn missing(&self) -> Vec<(String, bool)> {
        let watched = self.read_model.watch_adapters();
        let is_missing = |health: &AdapterHealth| match health.state {
            AdapterState::Up => None,
            AdapterState::Starting => Some(false),
            AdapterState::Down { .. } => Some(true),
        };
        watched.into_iter().filter_map(|(name, health)| Some((name, is_missing(&health.borrow())?))).collect()
    }

    async fn health(&self) -> Option<Health> {
        let audit = self.auditor.audit().await?;
        let now = Now::at(SystemClock.now());
        let adapters: BTreeMap<_, _> = self.read_model.adapters();
        Some(Health {
            gateway: self.identity.id.clone(),
            time: now.at.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: self.auditor.uptime().as_secs(),
            time_quality: now.quality.as_str(),
            problems: self.problems.borrow().clone(),
            adapters: adapters.into_iter().map(|(name, health)| (name, health.into())).collect(),
            upstream: self.upstream.health(),
            queue: self.queue(audit.dropped_ranges),
            sinks: audit.sinks,
            ledger: audit.balance,
            models: audit.models,
            disk: audit.disk,
            memory: Memory::now(),
        })
    }

    fn queue(&self, mut dropped_ranges: Vec<super::audit::DroppedRange>) -> Queue {
        let Some(outbox) = &self.outbox else { return Queue::default() };
        let status = outbox.status();
        let status = status.borrow();
        let totals = status.sink(&self.ledger_sink).map(|sink| sink.totals.clone()).unwrap_or_default();
        dropped_ranges.truncate(RANGES);
        Queue {
            messages: totals.queued.entries,
            bytes: totals.queued_bytes,
            dropped: totals.dropped().entries,
            dropped_ranges,
            error: status.last_error.as_ref().map(ToString::to_string),
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
