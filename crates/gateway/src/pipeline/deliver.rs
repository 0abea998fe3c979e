//! What the pipeline concluded, on its way out: to the outbox once the steps behind it are durable.

use std::collections::VecDeque;

use journal::Position;
use outbox::{Body, Entry, EntryError, Priority};

use super::decode::PendingAck;
use super::engine::Outputs;
use super::payload::{self, Identity, Payload};
use super::registry::Registry;

/// Entries of one step, and who waits for it to be durable.
pub(crate) struct Waiting {
    pub(crate) position: Position,
    pub(crate) entries: Vec<Entry>,
    pub(crate) acks: Vec<PendingAck>,
    /// Readings that the entries answer for.
    pub(crate) readings: u64,
    /// Whether there is an alert among the entries.
    pub(crate) urgent: bool,
}

/// Steps that wait for the journal's sync, oldest first. Bounded by what arrives between two syncs, which the
/// acknowledgements and the pipeline's channel hold back.
#[derive(Default)]
pub(crate) struct WaitingRoom {
    steps: VecDeque<Waiting>,
}

impl WaitingRoom {
    pub(crate) fn push(&mut self, step: Waiting) {
        self.steps.push_back(step);
    }

    /// Readings that wait.
    pub(crate) fn readings(&self) -> u64 {
        self.steps.iter().map(|step| step.readings).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps up to `durable`.
    pub(crate) fn release(&mut self, durable: Position) -> impl Iterator<Item = Waiting> + '_ {
        let count = self.steps.iter().take_while(|step| step.position <= durable).count();
        self.steps.drain(..count)
    }
}

/// Entries for the outbox: alerts first and urgent, then aggregates.
pub(crate) fn entries(outputs: &Outputs, registry: &Registry, identity: &Identity) -> Vec<Entry> {
    let alerts =
        outputs.alerts.iter().map(|alert| (Priority::Urgent, payload::alert(alert, registry, identity), 0));
    let aggregates = outputs.aggregates.iter().map(|aggregate| {
        (Priority::Normal, payload::aggregate(aggregate, registry, identity), aggregate.readings)
    });
    let mut entries = Vec::with_capacity(outputs.alerts.len() + outputs.aggregates.len());
    for (priority, payload, weight) in alerts.chain(aggregates) {
        match entry(priority, payload, weight) {
            Ok(entry) => entries.push(entry),
            // 256 metrics of 128 bytes and a topic of a few hundred bytes stay far below the outbox's limits.
            Err(error) => tracing::error!("an aggregate cannot be queued and is lost: {error}"),
        }
    }
    entries
}

fn entry(priority: Priority, payload: Payload, weight: u32) -> Result<Entry, EntryError> {
    Entry::new(priority, payload.topic, Body::new(payload.json, payload.seq_at)?, weight)
}
