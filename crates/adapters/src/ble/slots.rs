//! Who may be connected: so many devices at once, first come first served.
//!
//! Promises: a device that stays connected (its values come by themselves) never takes the last slot where there are
//! several, so that those that are read, and commands, get their turn; while another device waits to stay, or while there
//! is only one slot and anybody waits, it leaves when its turn is over, and for a command at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

/// The slots of one Bluetooth adapter. Clones are of the same.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    most: usize,
    all: Arc<Semaphore>,
    /// Those that may be kept.
    kept: Arc<Semaphore>,
    waiting: watch::Sender<Waiting>,
}

/// How many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Waiting {
    to_stay: usize,
    for_any: usize,
    with_commands: usize,
}

/// What a slot is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To read and leave.
    Read,
    /// To stay.
    Stay,
    /// To write, which somebody waits for.
    Command,
}

/// The right to be connected, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _any: OwnedSemaphorePermit,
    kept: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// `most` at once, at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            all: Arc::new(Semaphore::new(most)),
            kept: Arc::new(Semaphore::new((most - 1).max(1))),
            waiting: watch::Sender::default(),
        }
    }

    /// Waits for a slot, behind those who wait already. `None`: there are none any more.
    pub(super) async fn take(&self, purpose: Purpose) -> Option<Slot> {
        let kept = match purpose {
            Purpose::Stay => {
                let _queued = self.queue(|waiting| &mut waiting.to_stay);
                Some(Arc::clone(&self.kept).acquire_owned().await.ok()?)
            }
            Purpose::Read | Purpose::Command => None,
        };
        let _queued = match purpose {
            Purpose::Command => self.queue(|waiting| &mut waiting.with_commands),
            Purpose::Read | Purpose::Stay => self.queue(|waiting| &mut waiting.for_any),
        };
        let any = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Slot { _any: any, kept })
    }

    /// Makes `slot` one that may be kept, if there is one left. Says whether it is.
    pub(super) fn keep(&self, slot: &mut Slot) -> bool {
        // Whoever waits for one was here first.
        if slot.kept.is_none() && self.waiting.borrow().to_stay == 0 {
            slot.kept = Arc::clone(&self.kept).try_acquire_owned().ok();
        }
        slot.kept.is_some()
    }

    /// Waits until whoever stays is to leave; its turn is over at `end`.
    pub(super) async fn wanted(&self, end: Instant) {
        let (mut now, mut later) = (self.waiting.subscribe(), self.waiting.subscribe());
        let alone = self.most == 1;
        let turn = async {
            sleep_until(end).await;
            let _ = later.wait_for(|it| it.to_stay > 0 || alone && it.for_any > 0).await;
        };
        tokio::select! {
            _ = now.wait_for(|it| alone && it.with_commands > 0) => {}
            () = turn => {}
        }
    }

    fn queue(&self, which: fn(&mut Waiting) -> &mut usize) -> Queued<'_> {
        self.waiting.send_modify(|waiting| {
            let count = which(waiting);
            *count = count.saturating_add(1);
        });
        Queued { waiting: &self.waiting, which }
    }
}

/// Somebody who waits; no longer, when it is dropped.
struct Queued<'s> {
    waiting: &'s watch::Sender<Waiting>,
    which: fn(&mut Waiting) -> &mut usize,
}

impl Drop for Queued<'_> {
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
    async fn first_come_first_served() {
        let slots = Slots::new(1);
        let held = slots.take(Purpose::Read).await;
        let mut first = Box::pin(slots.take(Purpose::Read));
        let mut second = Box::pin(slots.take(Purpose::Read));
        assert!(!is_ready(first.as_mut()) && !is_ready(second.as_mut()));
        drop(held);
        assert!(!is_ready(second.as_mut()), "it is the other's turn");
        let _first = first.await;
        assert!(!is_ready(second.as_mut()));
    }

    #[tokio::test]
    async fn those_who_stay_leave_one_slot_for_the_others() {
        let slots = Slots::new(3);
        let mut stays = [slots.take(Purpose::Stay).await.unwrap(), slots.take(Purpose::Stay).await.unwrap()];
        let mut third = Box::pin(slots.take(Purpose::Stay));
        assert!(!is_ready(third.as_mut()));
        for _ in 0..3 {
            let mut reader = slots.take(Purpose::Read).await.unwrap();
            assert!(!slots.keep(&mut reader));
        }
        assert!(stays.iter_mut().all(|slot| slots.keep(slot)));
    }

    /// A turn that is over, and one that is not for long.
    fn turns() -> (Instant, Instant) {
        (Instant::now(), Instant::now() + Duration::from_secs(3_600))
    }

    #[tokio::test]
    async fn who_stays_leaves_when_its_turn_is_over_and_another_waits_to_stay() {
        let (over, not_over) = turns();
        let slots = Slots::new(2);
        let _stays = slots.take(Purpose::Stay).await;
        let _reader = slots.take(Purpose::Read).await;
        let mut command = Box::pin(slots.take(Purpose::Command));
        assert!(!is_ready(command.as_mut()));
        let (mut wanted, mut later) = (Box::pin(slots.wanted(over)), Box::pin(slots.wanted(not_over)));
        assert!(!is_ready(wanted.as_mut()), "the reader leaves soon");
        let mut next = Box::pin(slots.take(Purpose::Stay));
        assert!(!is_ready(next.as_mut()));
        wanted.await;
        assert!(!is_ready(later.as_mut()));
    }

    #[tokio::test]
    async fn where_there_is_one_slot_who_stays_leaves_for_a_reader_in_time_and_for_a_command_at_once() {
        let (over, not_over) = turns();
        let slots = Slots::new(1);
        let _stays = slots.take(Purpose::Stay).await;
        let mut reader = Box::pin(slots.take(Purpose::Read));
        assert!(!is_ready(reader.as_mut()));
        slots.wanted(over).await;
        let mut wanted = Box::pin(slots.wanted(not_over));
        assert!(!is_ready(wanted.as_mut()));
        let mut command = Box::pin(slots.take(Purpose::Command));
        assert!(!is_ready(command.as_mut()));
        wanted.await;
    }

    #[tokio::test]
    async fn nobody_leaves_for_those_who_gave_up_waiting() {
        let (over, _) = turns();
        let slots = Slots::new(1);
        let _stays = slots.take(Purpose::Stay).await;
        let mut reader = Box::pin(slots.take(Purpose::Read));
        assert!(!is_ready(reader.as_mut()));
        drop(reader);
        assert!(!is_ready(Box::pin(slots.wanted(over)).as_mut()));
    }
}
