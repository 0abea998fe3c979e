//! What is to be stored of the sessions, and what may leave only after that.
//!
//! States are gathered for a short time and written together on a thread of SQLite's own; a downlink that waits behind one
//! has them written at once. While the disk refuses or hangs, the newest states are kept and tried again, and downlinks
//! that would come too late are given up: each that was put here comes out, to leave or as given up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lorawan_link::{DeviceState, Eui, StoreToken, Transmission, TransmissionId};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::store::{Store, StoreError};

/// How long states are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// How long to wait after the disk has refused.
const RETRY: Duration = Duration::from_secs(1);
/// Downlinks that may wait for the disk.
const MOST_WAITING: usize = 256;
/// Words that a device waits for; older ones are of joins whose windows are over.
const MOST_TOKENS: usize = 8;

/// A device's newest state, and who waits for it.
#[derive(Debug)]
struct Dirty {
    state: Box<DeviceState>,
    tokens: VecDeque<StoreToken>,
}

type Batch = BTreeMap<Eui, Dirty>;

#[derive(Debug)]
enum Shelf {
    Idle(Box<Store>),
    Writing(JoinHandle<(Box<Store>, Batch, Result<(), StoreError>)>),
    /// Its thread has ended badly.
    Gone,
}

#[derive(Debug)]
struct Waiting {
    transmission: Transmission,
    /// The write that it waits for.
    behind: u64,
}

#[derive(Debug)]
pub(super) struct Keeper {
    shelf: Shelf,
    dirty: Batch,
    /// When they are written; `None` where nothing is to be.
    due: Option<Instant>,
    /// The disk has refused: not tried before this.
    not_before: Option<Instant>,
    waiting: VecDeque<Waiting>,
    /// How many writes have begun.
    begun: u64,
    /// Downlinks that were given up for want of room, not told yet.
    crowded_out: Vec<TransmissionId>,
    /// Downlinks that were given up.
    pub(super) given_up: u64,
    /// Why the last write failed.
    pub(super) problem: Option<String>,
}

/// What a write that has ended has set free.
#[derive(Debug, Default)]
pub(super) struct Freed {
    /// For [`lorawan_link::Network::state_stored`].
    pub(super) tokens: Vec<StoreToken>,
    /// Downlinks that may leave.
    pub(super) downlinks: Vec<Transmission>,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self {
            shelf: Shelf::Idle(Box::new(store)),
            dirty: Batch::new(),
            due: None,
            not_before: None,
            waiting: VecDeque::new(),
            begun: 0,
            crowded_out: Vec::new(),
            given_up: 0,
            problem: None,
        }
    }

    /// Takes a state to be stored.
    pub(super) fn store(&mut self, token: StoreToken, state: Box<DeviceState>, now: Instant) {
        let tokens = self.dirty.remove(&token.device).map_or_else(VecDeque::new, |dirty| dirty.tokens);
        let mut dirty = Dirty { state, tokens };
        dirty.push(token);
        self.dirty.insert(token.device, dirty);
        self.due.get_or_insert(now + GATHER);
    }

    /// Takes a downlink; hands it back where nothing is to be stored before it.
    pub(super) fn behind(&mut self, transmission: Transmission, now: Instant) -> Option<Transmission> {
        let writing = matches!(self.shelf, Shelf::Writing(_));
        if self.dirty.is_empty() && !writing {
            return Some(transmission);
        }
        let behind = if self.dirty.is_empty() { self.begun } else { self.begun.saturating_add(1) };
        if !self.dirty.is_empty() {
            self.due = Some(now);
        }
        self.waiting.push_back(Waiting { transmission, behind });
        if self.waiting.len() > MOST_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.crowded_out.push(oldest.transmission.id);
        }
        None
    }

    /// The downlinks that are given up: their time is over, or there was no room.
    pub(super) fn given_up(&mut self, now: Instant) -> Vec<TransmissionId> {
        let mut given_up = std::mem::take(&mut self.crowded_out);
        self.waiting.retain(|waiting| {
            let late = Instant::from_std(waiting.transmission.until) < now;
            if late {
                given_up.push(waiting.transmission.id);
            }
            !late
        });
        self.given_up = self.given_up.saturating_add(u64::try_from(given_up.len()).unwrap_or(u64::MAX));
        given_up
    }

    /// When there is something to write, or to give up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let until = self.waiting.iter().map(|waiting| Instant::from_std(waiting.transmission.until)).min();
        // Until then it may leave.
        let over = until.map(|until| until + Duration::from_millis(1));
        [self.write_at(), over].into_iter().flatten().min()
    }

    fn write_at(&self) -> Option<Instant> {
        match self.shelf {
            Shelf::Idle(_) => self.due.map(|due| self.not_before.map_or(due, |earliest| due.max(earliest))),
            Shelf::Writing(_) | Shelf::Gone => None,
        }
    }

    /// Begins to write what is due.
    pub(super) fn write_due(&mut self, now: Instant) {
        if self.write_at().is_some_and(|due| due <= now) {
            self.write();
        }
    }

    fn write(&mut self) {
        let shelf = std::mem::replace(&mut self.shelf, Shelf::Gone);
        let Shelf::Idle(mut store) = shelf else {
            self.shelf = shelf;
            return;
        };
        let batch = std::mem::take(&mut self.dirty);
        self.due = None;
        self.begun = self.begun.saturating_add(1);
        self.shelf = Shelf::Writing(spawn_blocking(move || {
            let result = store.write(batch.iter().map(|(device, dirty)| (*device, &*dirty.state)));
            (store, batch, result)
        }));
    }

    /// Waits until a write ends. May be cancelled: nothing is lost.
    pub(super) async fn written(&mut self) -> Result<Freed, JoinError> {
        let Shelf::Writing(writing) = &mut self.shelf else { return std::future::pending().await };
        let ended = writing.await;
        self.shelf = Shelf::Gone;
        let (store, batch, result) = ended?;
        self.shelf = Shelf::Idle(store);
        let now = Instant::now();
        match result {
            Ok(()) => {
                (self.problem, self.not_before) = (None, None);
                Ok(self.free(batch))
            }
            Err(error) => {
                self.problem = Some(error.to_string());
                self.not_before = Some(now + RETRY);
                self.due = Some(now);
                self.keep(batch);
                Ok(Freed::default())
            }
        }
    }

    fn free(&mut self, batch: Batch) -> Freed {
        let tokens = batch.into_values().flat_map(|dirty| dirty.tokens).collect();
        let mut downlinks = Vec::new();
        while let Some(first) = self.waiting.pop_front_if(|waiting| waiting.behind <= self.begun) {
            downlinks.push(first.transmission);
        }
        Freed { tokens, downlinks }
    }

    /// Back to what is to be written, unless there is something newer.
    fn keep(&mut self, batch: Batch) {
        for (device, mut old) in batch {
            if let Some(newer) = self.dirty.remove(&device) {
                old.state = newer.state;
                newer.tokens.into_iter().for_each(|token| old.push(token));
            }
            self.dirty.insert(device, old);
        }
    }

    /// Writes all that is left; tries once.
    pub(super) async fn close(&mut self) {
        if matches!(self.shelf, Shelf::Writing(_)) {
            let _ = self.written().await;
        }
        if !self.dirty.is_empty() {
            self.write();
            let _ = self.written().await;
        }
    }

    /// How many states are not on disk yet.
    pub(super) fn unwritten(&self) -> usize {
        self.dirty.len()
    }
}

impl Dirty {
    fn push(&mut self, token: StoreToken) {
        self.tokens.push_back(token);
        if self.tokens.len() > MOST_TOKENS {
            self.tokens.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
