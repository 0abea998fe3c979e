//! How many bytes may be in flight between a link and the pipeline: a count of messages alone would bound nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that messages share. Clones share the same bytes.
#[derive(Debug, Clone)]
pub struct MemoryQuota {
    free: Arc<Semaphore>,
    whole: u32,
}

/// A message's part of a [`MemoryQuota`]; it is free again when it is dropped with the message.
#[derive(Debug, Default)]
pub struct MemoryPermit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl MemoryPermit {
    /// For a message that is not counted.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self(None)
    }
}

impl MemoryQuota {
    /// A quota of `bytes`.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        let free = usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(free)), whole: bytes }
    }

    /// Waits until `bytes` are free. A message that is larger than the quota gets all of it. Permits are given in order:
    /// a small message does not overtake a large one. May be cancelled.
    pub async fn take(&self, bytes: usize) -> MemoryPermit {
        // Never closed, so never an error.
        MemoryPermit(Arc::clone(&self.free).acquire_many_owned(self.wanted(bytes)).await.ok())
    }

    /// A permit for `bytes`, where they are free now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<MemoryPermit> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(self.wanted(bytes)).ok()?;
        Some(MemoryPermit(Some(permit)))
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_free_again_with_their_message_and_a_giant_gets_all() {
        let quota = MemoryQuota::new(100);
        let first = quota.try_take(60).unwrap();
        assert!(quota.try_take(41).is_none() && quota.try_take(40).is_some());
        drop(first);
        let giant = quota.try_take(1_000).unwrap();
        assert!(quota.try_take(1).is_none());
        drop(giant);
        assert!(quota.try_take(100).is_some());
    }
}
