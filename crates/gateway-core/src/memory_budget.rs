//! Bounds the bytes of the messages in flight, for example between a link and the pipeline. A bound on the number of
//! messages alone would not bound the memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that messages share. Clones share the same budget.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    whole: u32,
}

/// A message's part of a [`MemoryBudget`]. It is returned when the permit is dropped.
#[derive(Debug, Default)]
pub struct MemoryPermit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl MemoryPermit {
    /// A permit that belongs to no budget.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self(None)
    }
}

impl MemoryBudget {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        let free = usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(free)), whole: bytes }
    }

    /// Waits until `bytes` are free. A message larger than the budget gets the whole budget. First come, first served: a
    /// small request does not overtake a large one. Cancel safe.
    pub async fn acquire(&self, bytes: usize) -> MemoryPermit {
        // Never closed, so never an error.
        MemoryPermit(Arc::clone(&self.free).acquire_many_owned(self.permits(bytes)).await.ok())
    }

    /// Returns a permit for `bytes`, or `None` if they are not free.
    #[must_use]
    pub fn try_acquire(&self, bytes: usize) -> Option<MemoryPermit> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(self.permits(bytes)).ok()?;
        Some(MemoryPermit(Some(permit)))
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_is_free_again_and_a_giant_gets_the_whole_budget() {
        let budget = MemoryBudget::new(100);
        let first = budget.try_acquire(60).unwrap();
        assert!(budget.try_acquire(41).is_none() && budget.try_acquire(40).is_some());
        drop(first);
        let giant = budget.try_acquire(1_000).unwrap();
        assert!(budget.try_acquire(1).is_none());
        drop(giant);
        assert!(budget.try_acquire(100).is_some());
    }
}
