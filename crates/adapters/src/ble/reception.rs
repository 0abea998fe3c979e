//! What all Bluetooth adapters of the building receive together: which advertisement another adapter has received just now,
//! and which beacons are present. No IO; time is passed in.
//!
//! The number of devices is bounded. Advertisements of further devices count once per adapter, and their `presence` does not
//! become 0.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::AdapterId;
use tokio::time::Instant;

/// The most devices that are remembered.
pub(super) const MAX_DEVICES: usize = 5_000;
/// For this long the same bytes through another adapter are the same advertisement: devices repeat theirs within that time.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(5);
/// Advertisements remembered per device: it may alternate between several.
const MAX_REMEMBERED: usize = 4;

/// What the adapters of a building receive. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ReceptionMap(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    devices: HashMap<Arc<str>, [Option<Reception>; MAX_REMEMBERED]>,
    /// Present beacons, and when they were last received.
    beacons: HashMap<Arc<str>, Instant>,
}

#[derive(Debug)]
struct Reception {
    hash: u64,
    through: AdapterId,
    at: Instant,
}

impl ReceptionMap {
    /// Whether `adapter` is the first to receive this advertisement of a device.
    pub(super) fn is_first(&self, device: &Arc<str>, hash: u64, adapter: &AdapterId, now: Instant) -> bool {
        let mut inner = self.lock();
        if inner.devices.len() >= MAX_DEVICES && !inner.devices.contains_key(device) {
            inner.devices.retain(|_, receptions| {
                receptions.iter().flatten().any(|reception| reception.is_recent(now))
            });
            if inner.devices.len() >= MAX_DEVICES {
                return true;
            }
        }
        let receptions = inner.devices.entry(Arc::clone(device)).or_default();
        let known = receptions
            .iter_mut()
            .flatten()
            .find(|reception| reception.hash == hash && reception.is_recent(now));
        if let Some(known) = known {
            let is_ours = known.through == *adapter;
            if is_ours {
                known.at = now;
            }
            return is_ours;
        }
        receptions.rotate_right(1);
        if let Some(newest) = receptions.first_mut() {
            *newest = Some(Reception { hash, through: adapter.clone(), at: now });
        }
        true
    }

    /// A beacon was received.
    pub(super) fn beacon_received(&self, beacon: &Arc<str>, now: Instant) {
        let mut inner = self.lock();
        let has_room = inner.beacons.len() < MAX_DEVICES;
        match inner.beacons.entry(Arc::clone(beacon)) {
            Entry::Occupied(mut last) => drop(last.insert(now)),
            Entry::Vacant(place) if has_room => drop(place.insert(now)),
            Entry::Vacant(_) => {}
        }
    }

    /// Removes and returns the beacons that were not received for `after`.
    pub(super) fn take_absent(&self, after: Duration, now: Instant) -> Vec<Arc<str>> {
        let gone = |_: &Arc<str>, last: &mut Instant| now.saturating_duration_since(*last) >= after;
        self.lock().beacons.extract_if(gone).map(|(beacon, _)| beacon).collect()
    }

    /// The map is consistent even if another holder panicked.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reception {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < DUPLICATE_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(from: Instant, seconds: u64) -> Instant {
        from + Duration::from_secs(seconds)
    }

    #[test]
    fn an_advertisement_counts_for_the_first_adapter_and_for_another_when_that_falls_silent() {
        let (map, start) = (ReceptionMap::default(), Instant::now());
        let (hall, attic) = (AdapterId::new("ble", "hall"), AdapterId::new("ble", "attic"));
        let device = Arc::from("A4:C1:38:8D:18:B2");
        let receive = |adapter, hash, at| map.is_first(&device, hash, adapter, seconds(start, at));
        assert!(receive(&hall, 1, 0));
        assert!(!receive(&attic, 1, 0));
        assert!(receive(&hall, 1, 3), "what it says again counts again");
        assert!(!receive(&attic, 1, 7));
        assert!(receive(&attic, 2, 7), "the other has missed this one");
        assert!(!receive(&hall, 2, 8), "late");
        assert!(receive(&attic, 1, 9), "the hall hears nothing any more");
        assert!(!receive(&hall, 1, 10));
    }

    #[test]
    fn devices_that_do_not_fit_count_for_every_adapter() {
        let (map, start) = (ReceptionMap::default(), Instant::now());
        let (hall, attic) = (AdapterId::new("ble", "hall"), AdapterId::new("ble", "attic"));
        for n in 0..MAX_DEVICES {
            assert!(map.is_first(&Arc::from(n.to_string()), 1, &hall, start));
        }
        let late = Arc::from("late");
        assert!(map.is_first(&late, 1, &hall, start) && map.is_first(&late, 1, &attic, start));
        assert!(!map.is_first(&Arc::from("0"), 1, &attic, start));
        assert!(map.is_first(&late, 1, &hall, seconds(start, 5)));
        assert!(!map.is_first(&late, 1, &attic, seconds(start, 5)), "the others have fallen silent");
    }

    #[test]
    fn an_absent_beacon_is_returned_once() {
        let (map, start) = (ReceptionMap::default(), Instant::now());
        let (here, gone) = (Arc::from("here"), Arc::from("gone"));
        map.beacon_received(&here, start);
        map.beacon_received(&gone, start);
        map.beacon_received(&here, seconds(start, 30));
        let minute = Duration::from_secs(60);
        assert!(map.take_absent(minute, seconds(start, 59)).is_empty());
        assert_eq!(map.take_absent(minute, seconds(start, 60)), [gone]);
        assert!(map.take_absent(minute, seconds(start, 61)).is_empty());
        assert_eq!(map.take_absent(minute, seconds(start, 90)), [here]);
        assert!(map.take_absent(minute, seconds(start, 999)).is_empty());
    }
}
