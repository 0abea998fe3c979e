//! Draws up the gateway's health as of now: for the cloud's topic, and for the web page.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::Now;
use gateway_core::ports::Clock as _;

use super::audit::{Auditor, DroppedRange};
use super::health::{Health, Memory, Queue, UpstreamHealth};
use crate::clock::SystemClock;
use crate::problems::Problems;
use read_model::ReadModel;

/// Ranges of dropped messages in one health message.
const RANGES: usize = 10;

/// How the connection to the cloud is doing.
pub type UpstreamState = Arc<dyn Fn() -> UpstreamHealth + Send + Sync>;

/// Where its parts come from.
#[derive(Clone)]
pub struct HealthSource {
    /// The gateway's id.
    pub gateway: String,
    pub read_model: ReadModel,
    pub auditor: Auditor,
    pub outbox: Option<outbox::Handle>,
    /// The sink whose counters are reported as the queue.
    pub ledger_sink: Arc<str>,
    /// None without `[upstream]`.
    pub upstream: Option<UpstreamState>,
    pub problems: Problems,
}

impl HealthSource {
    /// As of now; none where the pipeline has stopped.
    pub async fn now(&self) -> Option<Health> {
        let audit = self.auditor.audit().await?;
        let now = Now::at(SystemClock.now());
        let adapters: BTreeMap<_, _> = self.read_model.adapters();
        Some(Health {
            gateway: self.gateway.clone(),
            time: now.at.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: self.auditor.uptime().as_secs(),
            time_quality: now.quality.as_str(),
            problems: self.problems.borrow().clone(),
            adapters: adapters.into_iter().map(|(name, health)| (name, health.into())).collect(),
            upstream: self.upstream.as_ref().map(|state| state()),
            queue: self.queue(audit.dropped_ranges),
            sinks: audit.sinks,
            ledger: audit.balance,
            models: audit.models,
            disk: audit.disk,
            memory: Memory::now(),
        })
    }

    fn queue(&self, mut dropped_ranges: Vec<DroppedRange>) -> Queue {
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
