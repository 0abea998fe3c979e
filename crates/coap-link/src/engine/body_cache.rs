//! Bodies kept for a limited time, by peer and request; bounded in number, per peer, and in bytes.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use crate::Peer;
use crate::deadlines::Deadlines;

/// The peer, and the part of the request that identifies the body: see [`matching`](super::block2::matching).
pub(super) type Key = (Peer, Bytes);

/// The limits of a [`BodyCache`].
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheLimits {
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
pub(super) struct BodyCache<V> {
    limits: CacheLimits,
    items: HashMap<Key, Item<V>>,
    keys: HashMap<u64, Key>,
    /// The serial numbers of each peer's items, oldest first.
    by_peer: HashMap<Peer, Vec<u64>>,
    deadlines: Deadlines<u64>,
    bytes: usize,
    serial: u64,
}

/// The body does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<V> BodyCache<V> {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            items: HashMap::new(),
            keys: HashMap::new(),
            by_peer: HashMap::new(),
            deadlines: Deadlines::default(),
            bytes: 0,
            serial: 0,
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&V> {
        self.items.get(key).map(|item| &item.value)
    }

    /// Inserts `value` of size `bytes` under `key` until a time, in place of an earlier one. The peer's oldest item is evicted
    /// if the peer has too many.
    pub(super) fn insert(&mut self, key: Key, value: V, bytes: usize, until: Instant) -> Result<(), Full> {
        self.take(&key);
        while self.by_peer.get(&key.0).is_some_and(|serials| serials.len() >= self.limits.per_peer.max(1)) {
            let oldest = self.by_peer.get(&key.0).and_then(|serials| serials.first().copied());
            self.remove(oldest.ok_or(Full)?);
        }
        if self.items.len() >= self.limits.bodies || self.bytes.saturating_add(bytes) > self.limits.bytes {
            return Err(Full);
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        self.bytes = self.bytes.saturating_add(bytes);
        self.deadlines.set(until, serial);
        self.keys.insert(serial, key.clone());
        self.by_peer.entry(key.0.clone()).or_default().push(serial);
        self.items.insert(key, Item { value, bytes, until, serial });
        Ok(())
    }

    /// Like `insert`, but evicts the items of any peer that expire first.
    pub(super) fn insert_evicting(&mut self, key: &Key, value: V, bytes: usize, until: Instant)
    where
        V: Clone,
    {
        while self.insert(key.clone(), value.clone(), bytes, until).is_err() {
            let Some(first) = self.deadlines.first() else { return };
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
        self.deadlines.next()
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some(serial) = self.deadlines.due(now) {
            self.remove(serial);
        }
    }

    fn remove(&mut self, serial: u64) -> Option<V> {
        let key = self.keys.remove(&serial)?;
        let item = self.items.remove(&key)?;
        self.deadlines.cancel(item.until, serial);
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
