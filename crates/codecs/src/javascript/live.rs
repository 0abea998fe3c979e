//! The codecs that have a sandbox: at most [`MAX_LIVE`], so that memory is bounded for any configuration.
//!
//! A sandbox is made at the first call of its codec. It is dropped if others need the space and it was not used since the
//! last check (the clock algorithm). Making one again costs a few milliseconds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::sandbox::Sandbox;
use super::strikes::Strikes;

/// The most sandboxes. One with a common codec takes 300 KB.
pub(super) const MAX_LIVE: usize = 150;

/// A codec's place for its sandbox.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Used since the last check.
    asked: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) sandbox: Option<Sandbox>,
    pub(super) strikes: Strikes,
    /// Calls since the sandbox was made.
    pub(super) calls: u32,
    /// Whether it is in [`Live`].
    listed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("live", &self.sandbox.is_some()).finish_non_exhaustive()
    }
}

impl Slot {
    /// The codec's sandbox; one call at a time.
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
    /// Adds a slot, and drops the sandbox of another one if there are too many.
    pub(super) fn enter(&self, slot: &Arc<Slot>, state: &mut State) {
        if std::mem::replace(&mut state.listed, true) {
            return;
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.push_back(Arc::downgrade(slot));
        // Two rounds: the first may only reset all `asked` flags.
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

/// Drops the sandbox of a codec that is not in use.
fn let_go(slot: &Slot) -> bool {
    if slot.asked.swap(false, Ordering::Relaxed) {
        return false;
    }
    let Ok(mut state) = slot.state.try_lock() else { return false };
    state.sandbox = None;
    state.listed = false;
    true
}
