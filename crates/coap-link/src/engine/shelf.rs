//! Bodies that are kept for a while, for each peer and what it asked for: bounded in number, for each peer, in bytes
//! and in time.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use super::deadlines::Deadlines;
use crate::Peer;

/// Whose body this is, and of which request: see [`matching`](super::blocks::matching).
pub(super) type Key = (Peer, Bytes);

/// Bounds of a [`Shelf`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bodies: usize,
    pub(super) per_peer: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Item<V> {
    value: V,
    bytes: usize,
    until: Instant,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Shelf<V> {
    room: Room,
    items: HashMap<Key, Item<V>>,
    keys: HashMap<u64, Key>,
    /// The serial numbers of a peer's items, oldest first.
    by_peer: HashMap<Peer, Vec<u64>>,
    ends: Deadlines<u64>,
    bytes: usize,
    serial: u64,
}

/// No room for another body, or a longer one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<V> Shelf<V> {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            items: HashMap::new(),
            keys: HashMap::new(),
            by_peer: HashMap::new(),
            ends: Deadlines::new(),
            bytes: 0,
            serial: 0,
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&V> {
        self.items.get(key).map(|item| &item.value)
    }

    /// Puts `value`, which takes `bytes`, in the place of what is there under `key`, until a time. The peer's oldest
    /// makes room for its newest.
    pub(super) fn put(&mut self, key: Key, value: V, bytes: usize, until: Instant) -> Result<(), Full> {
        self.take(&key);
        while self.by_peer.get(&key.0).is_some_and(|serials| serials.len() >= self.room.per_peer.max(1)) {
            let oldest = self.by_peer.get(&key.0).and_then(|serials| serials.first().copied());
            self.remove(oldest.ok_or(Full)?);
        }
        if self.items.len() >= self.room.bodies || self.bytes.saturating_add(bytes) > self.room.bytes {
            return Err(Full);
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        self.bytes = self.bytes.saturating_add(bytes);
        self.ends.set(until, serial);
        self.keys.insert(serial, key.clone());
        self.by_peer.entry(key.0.clone()).or_default().push(serial);
        self.items.insert(key, Item { value, bytes, until, serial });
        Ok(())
    }

    /// The same; what ends first makes room, whosever it is.
    pub(super) fn put_making_room(&mut self, key: &Key, value: V, bytes: usize, until: Instant)
    where
        V: Clone,
    {
        while self.put(key.clone(), value.clone(), bytes, until).is_err() {
            let Some(first) = self.ends.first() else { return };
            self.remove(first);
        }
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<V> {
        let serial = self.items.get(key)?.serial;
        self.remove(serial)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ends.next()
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some(serial) = self.ends.due(now) {
            self.remove(serial);
        }
    }

    fn remove(&mut self, serial: u64) -> Option<V> {
        let key = self.keys.remove(&serial)?;
        let item = self.items.remove(&key)?;
        self.ends.cancel(item.until, serial);
        self.bytes = self.bytes.saturating_sub(item.bytes);
        if let Some(serials) = self.by_peer.get_mut(&key.0) {
            serials.retain(|other| *other != serial);
            if serials.is_empty() {
                self.by_peer.remove(&key.0);
            }
        }
        Some(item.value)
    }
}
