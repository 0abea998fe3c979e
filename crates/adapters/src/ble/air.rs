//! What is in the air of the building, for all its Bluetooth adapters together: who was heard through another adapter just
//! now, and which beacons are there. No IO; time is given.
//!
//! Promises: bounded in devices; what does not fit is heard as often as there are adapters, and has no `presence` 0.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::AdapterId;
use tokio::time::Instant;

/// Most devices that are followed.
pub(super) const MAX_DEVICES: usize = 5_000;
/// How long the same bytes through another adapter are the same advertisement: devices repeat within that time.
const SAME: Duration = Duration::from_secs(5);
/// Advertisements of a device that are remembered: it may alternate between several.
const REMEMBERED: usize = 4;

/// The air of a building; clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct Air(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    devices: HashMap<Arc<str>, [Option<Said>; REMEMBERED]>,
    /// Beacons that are here, and when they were heard last.
    beacons: HashMap<Arc<str>, Instant>,
}

#[derive(Debug)]
struct Said {
    hash: u64,
    through: AdapterId,
    at: Instant,
}

impl Air {
    /// Whether `adapter` is the first to hear this of a device.
    pub(super) fn is_first(&self, device: &Arc<str>, hash: u64, adapter: &AdapterId, now: Instant) -> bool {
        let mut inner = self.lock();
        if inner.devices.len() >= MAX_DEVICES && !inner.devices.contains_key(device) {
            inner.devices.retain(|_, said| said.iter().flatten().any(|said| said.is_recent(now)));
            if inner.devices.len() >= MAX_DEVICES {
                return true;
            }
        }
        let said = inner.devices.entry(Arc::clone(device)).or_default();
        let known = said.iter_mut().flatten().find(|said| said.hash == hash && said.is_recent(now));
        if let Some(known) = known {
            let is_ours = known.through == *adapter;
            if is_ours {
                known.at = now;
            }
            return is_ours;
        }
        said.rotate_right(1);
        if let Some(newest) = said.first_mut() {
            *newest = Some(Said { hash, through: adapter.clone(), at: now });
        }
        true
    }

    /// A beacon is here.
    pub(super) fn is_here(&self, beacon: &Arc<str>, now: Instant) {
        let mut inner = self.lock();
        let has_room = inner.beacons.len() < MAX_DEVICES;
        match inner.beacons.entry(Arc::clone(beacon)) {
            Entry::Occupied(mut last) => drop(last.insert(now)),
            Entry::Vacant(place) if has_room => drop(place.insert(now)),
            Entry::Vacant(_) => {}
        }
    }

    /// The beacons that were not heard for `after`. Each is told once, to the adapter that asks first.
    pub(super) fn left(&self, after: Duration, now: Instant) -> Vec<Arc<str>> {
        let gone = |_: &Arc<str>, last: &mut Instant| now.saturating_duration_since(*last) >= after;
        self.lock().beacons.extract_if(gone).map(|(beacon, _)| beacon).collect()
    }

    /// Nothing is left half done where another holder panicked.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < SAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(from: Instant, seconds: u64) -> Instant {
        from + Duration::from_secs(seconds)
    }

    #[test]
    fn a_device_that_two_adapters_hear_counts_once_and_moves_when_one_falls_silent() {
        let (air, start) = (Air::default(), Instant::now());
        let (hall, attic) = (AdapterId::new("ble", "hall"), AdapterId::new("ble", "attic"));
        let device = Arc::from("A4:C1:38:8D:18:B2");
        let hear = |adapter, hash, at| air.is_first(&device, hash, adapter, seconds(start, at));
        assert!(hear(&hall, 1, 0));
        assert!(!hear(&attic, 1, 0));
        assert!(hear(&hall, 1, 3), "what it says again counts again");
        assert!(!hear(&attic, 1, 7));
        assert!(hear(&attic, 2, 7), "the other has missed this one");
        assert!(!hear(&hall, 2, 8), "late");
        assert!(hear(&attic, 1, 9), "the hall hears nothing any more");
        assert!(!hear(&hall, 1, 10));
    }

    #[test]
    fn devices_that_do_not_fit_are_heard_by_everybody_until_there_is_room() {
        let (air, start) = (Air::default(), Instant::now());
        let (hall, attic) = (AdapterId::new("ble", "hall"), AdapterId::new("ble", "attic"));
        for n in 0..MAX_DEVICES {
            assert!(air.is_first(&Arc::from(n.to_string()), 1, &hall, start));
        }
        let late = Arc::from("late");
        assert!(air.is_first(&late, 1, &hall, start) && air.is_first(&late, 1, &attic, start));
        assert!(!air.is_first(&Arc::from("0"), 1, &attic, start));
        assert!(air.is_first(&late, 1, &hall, seconds(start, 5)));
        assert!(!air.is_first(&late, 1, &attic, seconds(start, 5)), "the others have fallen silent");
    }

    #[test]
    fn a_beacon_leaves_once() {
        let (air, start) = (Air::default(), Instant::now());
        let (here, gone) = (Arc::from("here"), Arc::from("gone"));
        air.is_here(&here, start);
        air.is_here(&gone, start);
        air.is_here(&here, seconds(start, 30));
        let minute = Duration::from_secs(60);
        assert!(air.left(minute, seconds(start, 59)).is_empty());
        assert_eq!(air.left(minute, seconds(start, 60)), [gone]);
        assert!(air.left(minute, seconds(start, 61)).is_empty());
        assert_eq!(air.left(minute, seconds(start, 90)), [here]);
        assert!(air.left(minute, seconds(start, 999)).is_empty());
    }
}
