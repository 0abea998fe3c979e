//! What the pipeline concluded, on its way out: to the outbox once the steps behind it are durable.

pub mod actions;
pub mod encoding;
pub mod history;
pub mod publish;
pub mod records;
mod template;

use std::collections::VecDeque;
use std::sync::Arc;

use gateway_core::AdapterId;
use journal::Position;
use outbox::{Entry, Lane, Share};
use read_model::Balance;

use crate::engine::ledger::{ExternalAccounts, balance_of};
use crate::engine::origins::Shares;
use crate::engine::registry::Registry;
use crate::engine::step::AdapterIndex;
use crate::engine::{Engine, Outputs};
use records::Identity;

// The outbox keeps one for "other"; the rest is for adapters that were renamed.
const _: () = assert!(AdapterId::MAX_COUNT < outbox::MAX_ACCOUNTS);
const _: () = assert!(AdapterId::MAX_BYTES <= outbox::MAX_ACCOUNT_BYTES);

/// The outputs of one step.
pub(crate) struct PendingOutputs {
    pub(crate) position: Position,
    pub(crate) entries: Vec<Entry>,
    /// The readings that the entries answer for.
    pub(crate) shares: Vec<Share>,
    /// Whether there is an alert among the entries.
    pub(crate) urgent: bool,
}

/// Steps that wait for the journal's sync and for capacity of the outbox, oldest first.
#[derive(Default)]
pub(crate) struct PendingQueue {
    steps: VecDeque<PendingOutputs>,
    bytes: usize,
}

impl PendingQueue {
    pub(crate) fn push(&mut self, step: PendingOutputs) {
        self.bytes += step.bytes();
        self.steps.push_back(step);
    }

    /// The oldest step, where it is not newer than `durable`.
    pub(crate) fn next(&mut self, durable: Position) -> Option<PendingOutputs> {
        let step = self.steps.pop_front_if(|step| step.position <= durable)?;
        self.bytes -= step.bytes();
        Some(step)
    }

    /// Puts back what `next` gave.
    pub(crate) fn put_back(&mut self, step: PendingOutputs) {
        self.bytes += step.bytes();
        self.steps.push_front(step);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PendingOutputs> {
        self.steps.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Memory that it all takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl PendingOutputs {
    fn bytes(&self) -> usize {
        self.entries.iter().map(Entry::memory).sum()
    }
}

/// Entries for the outbox: alerts first, then aggregates, then readings.
pub(crate) fn entries(outputs: &Outputs, registry: &Registry, identity: &Identity) -> Vec<Entry> {
    let alerts = outputs
        .alerts
        .iter()
        .map(|alert| (Lane::Alerts, records::alert(alert, registry, identity), Vec::new()));
    let aggregates = outputs.aggregates.iter().map(|closed| {
        let record = records::aggregate(&closed.aggregate, registry, identity);
        (Lane::Aggregates, record, accounts(&closed.shares, registry))
    });
    let readings = outputs
        .readings
        .iter()
        .map(|reading| (Lane::Readings, records::reading(reading, registry, identity), Vec::new()));
    let count = outputs.alerts.len() + outputs.aggregates.len() + outputs.readings.len();
    let mut entries = Vec::with_capacity(count);
    for (lane, record, shares) in alerts.chain(aggregates).chain(readings) {
        match Entry::new(lane, record.encode(), shares) {
            Ok(entry) => entries.push(entry),
            // Cannot happen: the configuration's limits (below) and 256 metrics of 128 bytes stay below the outbox's.
            Err(error) => tracing::error!("a record cannot be queued and is lost: {error}"),
        }
    }
    entries
}

/// The readings of all aggregates in `outputs`, by account.
pub(crate) fn shares(outputs: &Outputs, registry: &Registry) -> Vec<Share> {
    let mut all = Shares::new();
    for (adapter, readings) in outputs.aggregates.iter().flat_map(|closed| &closed.shares) {
        match all.iter_mut().find(|(known, _)| known == adapter) {
            Some((_, sum)) => *sum += readings,
            None => all.push((*adapter, *readings)),
        }
    }
    accounts(&all, registry)
}

fn accounts(shares: &Shares, registry: &Registry) -> Vec<Share> {
    let share = |(adapter, weight): &(AdapterIndex, u32)| Share {
        account: account(*adapter, registry),
        weight: *weight,
    };
    shares.iter().map(share).collect()
}

/// The name of an adapter's account; that of a lost adapter where damage to the store took the name.
pub(crate) fn account(adapter: AdapterIndex, registry: &Registry) -> Arc<str> {
    match registry.adapter(adapter) {
        Some(adapter) => AdapterId::name(adapter),
        None => format!("lost.{}", adapter.0).into(),
    }
}

/// The ledger of `engine` with the external accounts.
pub fn balance(engine: &Engine, external: &ExternalAccounts) -> Balance {
    let name = |adapter| account(adapter, engine.registry()).to_string();
    balance_of(engine.ledger(), name, engine.open_by_adapter(), external)
}
