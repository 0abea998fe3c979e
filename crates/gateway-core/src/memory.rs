//! The memory budget: what each queue on the way from a sender to the disk and the cloud may hold, in one place.
//!
//! A full queue makes those before it wait or refuse; nothing grows beyond this. `health` reports it as `memory.budget`.

/// What one queue may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPart {
    /// Its name in `health`.
    pub name: &'static str,
    /// The most it may hold, in bytes; one message that is larger is held alone.
    pub bytes: u32,
}

const fn part(name: &'static str, mebibytes: u32) -> MemoryPart {
    MemoryPart { name, bytes: mebibytes << 20 }
}

/// Messages that one adapter has received and the pipeline has not finished. Each adapter has its own.
pub const ADAPTER: MemoryPart = part("each_adapter", 8);
/// Messages that clients of the embedded broker have sent and the pipeline has not finished, over all its adapters.
pub const BROKER: MemoryPart = part("broker", 8);
/// Messages that wait for a codec in JavaScript.
pub const SCRIPTS: MemoryPart = part("scripts", 2);
/// Steps that are not on the disk yet. The crate `journal` bounds them.
pub const JOURNAL: MemoryPart = part("journal", 8);
/// Aggregates and alerts that wait until the outbox takes them.
pub const OUTPUTS: MemoryPart = part("outputs", 8);
/// Windows, alerts and readings that wait for the local history.
pub const HISTORY: MemoryPart = part("history", 8);

/// All parts.
pub const BUDGET: [MemoryPart; 6] = [ADAPTER, BROKER, SCRIPTS, JOURNAL, OUTPUTS, HISTORY];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_a_name_of_its_own_and_all_fit_into_a_small_machine() {
        let names: BTreeSet<_> = BUDGET.iter().map(|part| part.name).collect();
        assert_eq!(names.len(), BUDGET.len());
        let sum: u32 = BUDGET.iter().map(|part| part.bytes).sum();
        assert!(sum <= 64 << 20, "{sum} bytes");
    }
}
