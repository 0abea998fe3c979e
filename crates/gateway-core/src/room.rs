//! How many bytes may be under way between a link and the pipeline: a count of messages alone would bound nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes to be shared. Clones share the same.
#[derive(Debug, Clone)]
pub struct Space {
    free: Arc<Semaphore>,
    whole: u32,
}

/// A message's part of a [`Space`]; dropped with the message, it is free again.
#[derive(Debug, Default)]
pub struct Room(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl Room {
    /// For what nobody counts.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self(None)
    }
}

impl Space {
    /// So many bytes.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        let free = usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(free)), whole: bytes }
    }

    /// Waits until there is room for `bytes`. What is larger than the whole gets the whole. In order: nobody who wants
    /// little overtakes one who waits for much. May be cancelled.
    pub async fn take(&self, bytes: usize) -> Room {
        // Never closed, so never an error.
        Room(Arc::clone(&self.free).acquire_many_owned(self.wanted(bytes)).await.ok())
    }

    /// Room for `bytes`, where there is.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Room> {
        let room = Arc::clone(&self.free).try_acquire_many_owned(self.wanted(bytes)).ok()?;
        Some(Room(Some(room)))
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_free_again_with_its_message_and_a_giant_gets_the_whole() {
        let space = Space::new(100);
        let first = space.try_take(60).unwrap();
        assert!(space.try_take(41).is_none() && space.try_take(40).is_some());
        drop(first);
        let giant = space.try_take(1_000).unwrap();
        assert!(space.try_take(1).is_none());
        drop(giant);
        assert!(space.try_take(100).is_some());
    }
}
