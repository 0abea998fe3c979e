//! Which devices may be connected: a bounded number at once, first come, first served.
//!
//! A device that stays connected (because it notifies) never takes the last permit if there are several, so that devices
//! that are read, and commands, get theirs. It gives its permit back after its turn if another device waits to stay, or if
//! there is only one permit and any device waits; if there is only one, it gives it back to a command at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

/// The connections of one Bluetooth adapter. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPool {
    capacity: usize,
    all: Arc<Semaphore>,
    /// Permits to stay connected.
    lasting: Arc<Semaphore>,
    waiting: watch::Sender<QueueLengths>,
}

/// How many tasks wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct QueueLengths {
    to_stay: usize,
    for_any: usize,
    with_commands: usize,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To read and disconnect.
    Read,
    /// To stay connected.
    Stay,
    /// To write.
    Command,
}

/// The permit to be connected, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    _any: OwnedSemaphorePermit,
    lasting: Option<OwnedSemaphorePermit>,
}

impl ConnectionPool {
    /// `capacity` at once, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity,
            all: Arc::new(Semaphore::new(capacity)),
            lasting: Arc::new(Semaphore::new((capacity - 1).max(1))),
            waiting: watch::Sender::default(),
        }
    }

    /// Waits for a permit, behind those that wait already. `None`: the pool is closed.
    pub(super) async fn take(&self, purpose: Purpose) -> Option<ConnectionPermit> {
        let lasting = match purpose {
            Purpose::Stay => {
                let _queued = self.queue(|waiting| &mut waiting.to_stay);
                Some(Arc::clone(&self.lasting).acquire_owned().await.ok()?)
            }
            Purpose::Read | Purpose::Command => None,
        };
        let _queued = match purpose {
            Purpose::Command => self.queue(|waiting| &mut waiting.with_commands),
            Purpose::Read | Purpose::Stay => self.queue(|waiting| &mut waiting.for_any),
        };
        let any = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(ConnectionPermit { _any: any, lasting })
    }

    /// Makes `permit` one to stay connected, if there is one left. Returns whether it is.
    pub(super) fn make_lasting(&self, permit: &mut ConnectionPermit) -> bool {
        // A task that waits for one was first.
        if permit.lasting.is_none() && self.waiting.borrow().to_stay == 0 {
            permit.lasting = Arc::clone(&self.lasting).try_acquire_owned().ok();
        }
        permit.lasting.is_some()
    }

    /// Waits until a device that stays connected must give its permit back. Its turn is over at `end`.
    pub(super) async fn reclaimed(&self, end: Instant) {
        let (mut now, mut later) = (self.waiting.subscribe(), self.waiting.subscribe());
        let alone = self.capacity == 1;
        let turn = async {
            sleep_until(end).await;
            let _ = later.wait_for(|it| it.to_stay > 0 || alone && it.for_any > 0).await;
        };
        tokio::select! {
            _ = now.wait_for(|it| alone && it.with_commands > 0) => {}
            () = turn => {}
        }
    }

    fn queue(&self, which: fn(&mut QueueLengths) -> &mut usize) -> QueueGuard<'_> {
        self.waiting.send_modify(|waiting| {
            let count = which(waiting);
            *count = count.saturating_add(1);
        });
        QueueGuard { waiting: &self.waiting, which }
    }
}

/// A task that waits. Dropping it ends the waiting.
struct QueueGuard<'s> {
    waiting: &'s watch::Sender<QueueLengths>,
    which: fn(&mut QueueLengths) -> &mut usize,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.waiting.send_modify(|waiting| {
            let count = (self.which)(waiting);
            *count = count.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_now::is_ready;

    use super::*;

    /// Polls once.
    mod futures_now {
        use std::pin::Pin;
        use std::task::{Context, Waker};

        pub(super) fn is_ready<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
            future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
        }
    }

    #[tokio::test]
    async fn permits_are_given_in_order() {
        let pool = ConnectionPool::new(1);
        let held = pool.take(Purpose::Read).await;
        let mut first = Box::pin(pool.take(Purpose::Read));
        let mut second = Box::pin(pool.take(Purpose::Read));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        drop(held);
        assert!(!is_ready(second.as_mut()), "it is the other's turn");
        let _first = first.await;
        assert!(!is_ready(second.as_mut()));
    }

    #[tokio::test]
    async fn devices_that_stay_leave_one_permit_for_the_others() {
        let pool = ConnectionPool::new(3);
        let mut stays = [pool.take(Purpose::Stay).await.unwrap(), pool.take(Purpose::Stay).await.unwrap()];
        let mut third = Box::pin(pool.take(Purpose::Stay));
        assert!(!is_ready(third.as_mut()));
        for _ in 0..3 {
            let mut reader = pool.take(Purpose::Read).await.unwrap();
            assert!(!pool.make_lasting(&mut reader));
        }
        assert!(stays.iter_mut().all(|permit| pool.make_lasting(permit)));
    }

    /// A turn that is over, and one that is not for long.
    fn turns() -> (Instant, Instant) {
        (Instant::now(), Instant::now() + Duration::from_secs(3_600))
    }

    #[tokio::test]
    async fn a_device_that_stays_gives_way_after_its_turn_to_one_that_waits_to_stay() {
        let (over, not_over) = turns();
        let pool = ConnectionPool::new(2);
        let _stays = pool.take(Purpose::Stay).await;
        let _reader = pool.take(Purpose::Read).await;
        let mut command = Box::pin(pool.take(Purpose::Command));
        assert!(!is_ready(command.as_mut()));
        let (mut reclaimed, mut later) = (Box::pin(pool.reclaimed(over)), Box::pin(pool.reclaimed(not_over)));
        assert!(!is_ready(reclaimed.as_mut()), "the reader leaves soon");
        let mut next = Box::pin(pool.take(Purpose::Stay));
        assert!(!is_ready(next.as_mut()));
        reclaimed.await;
        assert!(!is_ready(later.as_mut()));
    }

    #[tokio::test]
    async fn with_one_permit_a_device_gives_way_to_a_read_after_its_turn_and_to_a_command_at_once() {
        let (over, not_over) = turns();
        let pool = ConnectionPool::new(1);
        let _stays = pool.take(Purpose::Stay).await;
        let mut reader = Box::pin(pool.take(Purpose::Read));
        assert!(!is_ready(reader.as_mut()));
        pool.reclaimed(over).await;
        let mut reclaimed = Box::pin(pool.reclaimed(not_over));
        assert!(!is_ready(reclaimed.as_mut()));
        let mut command = Box::pin(pool.take(Purpose::Command));
        assert!(!is_ready(command.as_mut()));
        reclaimed.await;
    }

    #[tokio::test]
    async fn a_device_does_not_give_way_to_a_task_that_no_longer_waits() {
        let (over, _) = turns();
        let pool = ConnectionPool::new(1);
        let _stays = pool.take(Purpose::Stay).await;
        let mut reader = Box::pin(pool.take(Purpose::Read));
        assert!(!is_ready(reader.as_mut()));
        drop(reader);
        assert!(!is_ready(Box::pin(pool.reclaimed(over)).as_mut()));
    }
}
