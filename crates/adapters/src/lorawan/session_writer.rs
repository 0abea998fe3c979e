//! Writes sessions to disk, and delays each downlink until the session behind it is stored.
//!
//! States are gathered for a short time and written together on a separate thread; a waiting downlink makes the write start
//! at once. While the disk fails or hangs, the newest states are kept and tried again, and downlinks that would be too late
//! are cancelled. Each delayed downlink is either released or cancelled.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lorawan_link::{DeviceState, Eui, StoreToken, Transmission, TransmissionId};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::store::{Store, StoreError};

/// How long states are gathered.
const GATHER_TIME: Duration = Duration::from_millis(500);
/// The pause after a failed write.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The most downlinks that wait for the disk.
const MAX_WAITING: usize = 256;
/// The most tokens per device; older ones belong to joins whose receive windows are over.
const MAX_TOKENS: usize = 8;

/// A device's newest state that is not on disk, and the tokens that wait for it.
#[derive(Debug)]
struct Dirty {
    state: Box<DeviceState>,
    tokens: VecDeque<StoreToken>,
}

type Batch = BTreeMap<Eui, Dirty>;

#[derive(Debug)]
enum StoreState {
    Idle(Box<Store>),
    Writing(JoinHandle<(Box<Store>, Batch, Result<(), StoreError>)>),
    /// The thread panicked.
    Failed,
}

#[derive(Debug)]
struct PendingTransmission {
    transmission: Transmission,
    /// The number of the write that it waits for.
    after_write: u64,
}

#[derive(Debug)]
pub(super) struct SessionWriter {
    store_state: StoreState,
    dirty: Batch,
    /// When they are written; `None` if there are none.
    due: Option<Instant>,
    /// The last write failed: the next one starts not before this.
    not_before: Option<Instant>,
    waiting: VecDeque<PendingTransmission>,
    /// The number of writes started.
    writes_started: u64,
    /// Downlinks cancelled because too many were waiting; not reported yet.
    overflowed: Vec<TransmissionId>,
    /// The number of cancelled downlinks.
    pub(super) cancelled: u64,
    /// The error of the last write, if it failed.
    pub(super) problem: Option<String>,
}

/// What a finished write releases.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// For [`lorawan_link::Network::state_stored`].
    pub(super) tokens: Vec<StoreToken>,
    /// Downlinks that may be sent.
    pub(super) downlinks: Vec<Transmission>,
}

impl SessionWriter {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store_state: StoreState::Idle(Box::new(store)),
            dirty: Batch::new(),
            due: None,
            not_before: None,
            waiting: VecDeque::new(),
            writes_started: 0,
            overflowed: Vec::new(),
            cancelled: 0,
            problem: None,
        }
    }

    /// Queues a state for storing.
    pub(super) fn store(&mut self, token: StoreToken, state: Box<DeviceState>, now: Instant) {
        let tokens = self.dirty.remove(&token.device).map_or_else(VecDeque::new, |dirty| dirty.tokens);
        let mut dirty = Dirty { state, tokens };
        dirty.push(token);
        self.dirty.insert(token.device, dirty);
        self.due.get_or_insert(now + GATHER_TIME);
    }

    /// Delays a downlink until the pending states are stored; returns it if there are none.
    pub(super) fn delay(&mut self, transmission: Transmission, now: Instant) -> Option<Transmission> {
        let writing = matches!(self.store_state, StoreState::Writing(_));
        if self.dirty.is_empty() && !writing {
            return Some(transmission);
        }
        let after_write =
            if self.dirty.is_empty() { self.writes_started } else { self.writes_started.saturating_add(1) };
        if !self.dirty.is_empty() {
            self.due = Some(now);
        }
        self.waiting.push_back(PendingTransmission { transmission, after_write });
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.overflowed.push(oldest.transmission.id);
        }
        None
    }

    /// The downlinks to cancel: those too late, and those beyond the limit.
    pub(super) fn take_cancelled(&mut self, now: Instant) -> Vec<TransmissionId> {
        let mut cancelled = std::mem::take(&mut self.overflowed);
        self.waiting.retain(|waiting| {
            let late = Instant::from_std(waiting.transmission.until) < now;
            if late {
                cancelled.push(waiting.transmission.id);
            }
            !late
        });
        self.cancelled = self.cancelled.saturating_add(u64::try_from(cancelled.len()).unwrap_or(u64::MAX));
        cancelled
    }

    /// When to write or to cancel next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let until = self.waiting.iter().map(|waiting| Instant::from_std(waiting.transmission.until)).min();
        // It may be sent until then.
        let over = until.map(|until| until + Duration::from_millis(1));
        [self.write_at(), over].into_iter().flatten().min()
    }

    fn write_at(&self) -> Option<Instant> {
        match self.store_state {
            StoreState::Idle(_) => {
                self.due.map(|due| self.not_before.map_or(due, |earliest| due.max(earliest)))
            }
            StoreState::Writing(_) | StoreState::Failed => None,
        }
    }

    /// Starts a write if it is due.
    pub(super) fn write_due(&mut self, now: Instant) {
        if self.write_at().is_some_and(|due| due <= now) {
            self.write();
        }
    }

    fn write(&mut self) {
        let store_state = std::mem::replace(&mut self.store_state, StoreState::Failed);
        let StoreState::Idle(mut store) = store_state else {
            self.store_state = store_state;
            return;
        };
        let batch = std::mem::take(&mut self.dirty);
        self.due = None;
        self.writes_started = self.writes_started.saturating_add(1);
        self.store_state = StoreState::Writing(spawn_blocking(move || {
            let result = store.write(batch.iter().map(|(device, dirty)| (*device, &*dirty.state)));
            (store, batch, result)
        }));
    }

    /// Waits until the write ends. Cancel safe.
    pub(super) async fn written(&mut self) -> Result<Released, JoinError> {
        let StoreState::Writing(writing) = &mut self.store_state else { return std::future::pending().await };
        let ended = writing.await;
        self.store_state = StoreState::Failed;
        let (store, batch, result) = ended?;
        self.store_state = StoreState::Idle(store);
        let now = Instant::now();
        match result {
            Ok(()) => {
                (self.problem, self.not_before) = (None, None);
                Ok(self.release(batch))
            }
            Err(error) => {
                self.problem = Some(error.to_string());
                self.not_before = Some(now + RETRY_PAUSE);
                self.due = Some(now);
                self.requeue(batch);
                Ok(Released::default())
            }
        }
    }

    fn release(&mut self, batch: Batch) -> Released {
        let tokens = batch.into_values().flat_map(|dirty| dirty.tokens).collect();
        let mut downlinks = Vec::new();
        while let Some(first) =
            self.waiting.pop_front_if(|waiting| waiting.after_write <= self.writes_started)
        {
            downlinks.push(first.transmission);
        }
        Released { tokens, downlinks }
    }

    /// Queues the states of a failed write again, unless there are newer ones.
    fn requeue(&mut self, batch: Batch) {
        for (device, mut old) in batch {
            if let Some(newer) = self.dirty.remove(&device) {
                old.state = newer.state;
                newer.tokens.into_iter().for_each(|token| old.push(token));
            }
            self.dirty.insert(device, old);
        }
    }

    /// Tries once to write all states.
    pub(super) async fn close(&mut self) {
        if matches!(self.store_state, StoreState::Writing(_)) {
            let _ = self.written().await;
        }
        if !self.dirty.is_empty() {
            self.write();
            let _ = self.written().await;
        }
    }

    /// The number of states that are not on disk yet.
    pub(super) fn unwritten(&self) -> usize {
        self.dirty.len()
    }
}

impl Dirty {
    fn push(&mut self, token: StoreToken) {
        self.tokens.push_back(token);
        if self.tokens.len() > MAX_TOKENS {
            self.tokens.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "session_writer_tests.rs"]
mod tests;
