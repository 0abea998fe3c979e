//! Which codecs have a sandbox at the moment: at most [`MAX_LIVE`], so that memory is bounded whatever is configured.
//!
//! A sandbox is made when its codec is first asked, and let go when others need the room and it was not asked since the
//! last look (the clock algorithm). Making one again costs a few milliseconds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::sandbox::Sandbox;
use super::strikes::Strikes;

/// Most sandboxes at a time. One with a common codec takes 300 KB.
pub(super) const MAX_LIVE: usize = 150;

/// Where a codec's sandbox is, while it has one.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Asked since the last look.
    asked: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) sandbox: Option<Sandbox>,
    pub(super) strikes: Strikes,
    /// Calls since the sandbox was made.
    pub(super) calls: u32,
    /// Whether it stands in [`Live`].
    listed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("live", &self.sandbox.is_some()).finish_non_exhaustive()
    }
}

impl Slot {
    /// The codec's own; one call at a time.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.asked.store(true, Ordering::Relaxed);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots that have a sandbox, or had one that failed.
#[derive(Debug, Default)]
pub(super) struct Live {
    slots: Mutex<VecDeque<Weak<Slot>>>,
}

impl Live {
    /// Puts a slot on the list, and takes the sandbox of another where there are too many.
    pub(super) fn enter(&self, slot: &Arc<Slot>, state: &mut State) {
        if std::mem::replace(&mut state.listed, true) {
            return;
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.push_back(Arc::downgrade(slot));
        // Twice round: the first may do no more than take back everybody's `asked`.
        for _ in 0..2 * slots.len() {
            if slots.len() <= MAX_LIVE {
                return;
            }
            let Some(oldest) = slots.pop_front() else { return };
            if oldest.upgrade().is_some_and(|slot| !let_go(&slot)) {
                slots.push_back(oldest);
            }
        }
    }
}

/// Takes the sandbox of a codec that is not in use.
fn let_go(slot: &Slot) -> bool {
    if slot.asked.swap(false, Ordering::Relaxed) {
        return false;
    }
    let Ok(mut state) = slot.state.try_lock() else { return false };
    state.sandbox = None;
    state.listed = false;
    true
}
