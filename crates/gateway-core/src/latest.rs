//! The newest value of each metric of each device, for adapters that are asked for it.
//!
//! The pipeline writes, adapters read and follow. Nothing is kept until somebody follows. It holds at most one value
//! for each device and metric that the gateway knows, which are bounded, and a slow follower has a list of devices to
//! look at again, never a queue of values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::Timestamp;

/// The newest value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestValue {
    /// The value, finite.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
    /// Its unit (SenML's name), where it is known.
    pub unit: Option<Arc<str>>,
}

/// A device's newest values, by metric.
pub type LatestValues = BTreeMap<Arc<str>, LatestValue>;

type Table = HashMap<Arc<str>, Arc<LatestValues>>;

/// The newest values of all devices. Clones share the same.
#[derive(Debug, Clone, Default)]
pub struct Latest(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    wanted: AtomicBool,
    table: Mutex<Table>,
    followers: Mutex<Vec<Weak<Changes>>>,
}

#[derive(Debug, Default)]
struct Changes {
    devices: Mutex<HashSet<Arc<str>>>,
    woken: Notify,
}

/// Is told which devices have new values.
#[derive(Debug)]
pub struct Follower(Arc<Changes>);

impl Latest {
    /// Whether anybody has ever followed: values are worth noting.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// Notes a value, unless a newer one is known.
    pub fn note(&self, device: &str, metric: &str, value: LatestValue) {
        let Some(name) = self.enter(device, metric, value) else { return };
        let mut followers = lock(&self.0.followers);
        followers.retain(|follower| {
            let Some(changes) = follower.upgrade() else { return false };
            lock(&changes.devices).insert(Arc::clone(&name));
            changes.woken.notify_one();
            true
        });
    }

    /// The device's name, if this is news.
    fn enter(&self, device: &str, metric: &str, value: LatestValue) -> Option<Arc<str>> {
        let mut table = lock(&self.0.table);
        let name = table.get_key_value(device).map_or_else(|| device.into(), |(name, _)| Arc::clone(name));
        let values = Arc::make_mut(table.entry(Arc::clone(&name)).or_default());
        match values.get_mut(metric) {
            Some(known) if known.at > value.at => return None,
            Some(known) => *known = value,
            None => {
                values.insert(metric.into(), value);
            }
        }
        Some(name)
    }

    /// A device's values, as they are now.
    #[must_use]
    pub fn of(&self, device: &str) -> Option<Arc<LatestValues>> {
        lock(&self.0.table).get(device).cloned()
    }

    /// All devices by name, as they are now.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Arc<str>, Arc<LatestValues>> {
        lock(&self.0.table).iter().map(|(name, values)| (Arc::clone(name), Arc::clone(values))).collect()
    }

    /// From now on values are noted, and this one is told of them.
    #[must_use]
    pub fn follow(&self) -> Follower {
        self.0.wanted.store(true, Ordering::Relaxed);
        let changes = Arc::new(Changes::default());
        lock(&self.0.followers).push(Arc::downgrade(&changes));
        Follower(changes)
    }
}

impl Follower {
    /// Waits until devices have new values, and tells which. May be cancelled: nothing is lost.
    pub async fn changed(&self) -> Vec<Arc<str>> {
        loop {
            let devices = std::mem::take(&mut *lock(&self.0.devices));
            if !devices.is_empty() {
                return devices.into_iter().collect();
            }
            self.0.woken.notified().await;
        }
    }
}

/// What a panicking holder leaves behind is still a table.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: f64, at: i64) -> LatestValue {
        LatestValue { value, at: Timestamp::from_millis(at), unit: None }
    }

    #[tokio::test]
    async fn a_follower_hears_of_each_device_once_and_a_straggler_changes_nothing() {
        let latest = Latest::default();
        assert!(!latest.is_wanted());
        let follower = latest.follow();
        latest.note("lounge", "temperature", value(21.0, 10));
        latest.note("lounge", "temperature", value(22.0, 20));
        assert_eq!(follower.changed().await, ["lounge".into()]);
        latest.note("lounge", "temperature", value(1.0, 15));
        latest.note("hall", "co2", value(400.0, 1));
        assert_eq!(follower.changed().await, ["hall".into()]);
        let lounge = latest.of("lounge").unwrap();
        assert_eq!(lounge["temperature"].value.to_bits(), 22.0_f64.to_bits());
        assert_eq!(latest.all().len(), 2);
        assert!(latest.of("cellar").is_none());
    }
}
