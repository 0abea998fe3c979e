//! Sets the ledger right where it cannot agree with the outbox: after damage to the disk, with a new store beside an older
//! outbox, and when it shows the counters of another sink than before.

use gateway_core::AdapterId;

use crate::engine::ledger::ExternalAccounts;
use crate::engine::step::{AdapterIndex, Correction, LedgerSink, NewNames, Step};
use crate::engine::{Engine, Settings};

/// What a start found in the outbox and in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundAtStart {
    /// The state or the outbox was damaged, or one of them is new: readings that are missing were lost.
    pub damaged: bool,
    /// The outbox's number of the sink whose counters the ledger shows.
    pub ledger_sink: Option<u64>,
}

impl FoundAtStart {
    /// Whether the ledger now shows other counters. The state says which it has shown: whatever dies between opening the outbox
    /// and the first step, the next start sees it again.
    fn is_other_sink(self, engine: &Engine, settings: &Settings) -> bool {
        engine.ledger_sink() != self.ledger_sink || engine.settings().upstream != settings.upstream
    }
}

/// Adds to the first `step` after a start, with the present `settings`, what makes every row balance.
pub(crate) fn reconcile(
    found: FoundAtStart,
    settings: &Settings,
    engine: &Engine,
    external: &ExternalAccounts,
    step: &mut Step,
) {
    let is_other_sink = found.is_other_sink(engine, settings);
    if !found.damaged && !is_other_sink {
        return;
    }
    let mut elsewhere = Vec::new();
    for (name, row) in &crate::deliver::balance(engine, external).adapters {
        let (taken, accounted) = (row.taken, row.accounted());
        if taken == accounted {
            continue;
        }
        let adapter = index(name, engine, &mut step.names);
        let (forgotten, missing) = (accounted.saturating_sub(taken), taken.saturating_sub(accounted));
        if found.damaged {
            tracing::warn!(
                adapter = %name,
                lost = missing,
                forgotten,
                "the ledger was corrected after data was lost in the journal or the outbox; the numbers are readings"
            );
            step.corrections.push(Correction { adapter, forgotten, lost: missing });
            continue;
        }
        tracing::info!(
            adapter = %name,
            readings = missing,
            "the sinks are others than before: the ledger counts what the present ones were given"
        );
        if forgotten > 0 {
            step.corrections.push(Correction { adapter, forgotten, lost: 0 });
        } else {
            elsewhere.push((adapter, missing));
        }
    }
    if is_other_sink {
        step.ledger_sink = Some(LedgerSink { id: found.ledger_sink, elsewhere });
    }
}

/// An account may be of an adapter whose name the state has lost.
fn index(name: &str, engine: &Engine, names: &mut NewNames) -> AdapterIndex {
    let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
    names.adapter(engine.registry(), &AdapterId::new(kind, rest))
}
