//! After damage to the disk, or with a new store beside an older outbox: the corrections with which the
//! ledger counts the same readings as the outbox does.

use gateway_core::AdapterId;

use crate::engine::Engine;
use crate::engine::ledger::ExternalAccounts;
use crate::engine::step::{AdapterIndex, Correction, NewNames};

/// The corrections that make every row balance.
pub(crate) fn corrections(
    engine: &Engine,
    external: &ExternalAccounts,
    names: &mut NewNames,
) -> Vec<Correction> {
    let balance = crate::deliver::balance(engine, external);
    let mut corrections = Vec::new();
    for (name, row) in &balance.adapters {
        let (taken, accounted) = (row.taken, row.accounted());
        if taken == accounted {
            continue;
        }
        let correction = Correction {
            adapter: index(name, engine, names),
            forgotten: accounted.saturating_sub(taken),
            lost: taken.saturating_sub(accounted),
        };
        tracing::warn!(
            adapter = %name,
            lost = correction.lost,
            forgotten = correction.forgotten,
            "the ledger was corrected after data was lost in the journal or the outbox; the numbers are readings"
        );
        corrections.push(correction);
    }
    corrections
}

/// An account may be of an adapter whose name the state has lost.
fn index(name: &str, engine: &Engine, names: &mut NewNames) -> AdapterIndex {
    let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
    names.adapter(engine.registry(), &AdapterId::new(kind, rest))
}
