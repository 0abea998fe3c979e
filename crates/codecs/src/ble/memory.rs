//! What is remembered of beacons from one advertisement to the next: counters of those that encrypt, numbers of packets,
//! and what a stack has shown before. Beacons of formats that need none of it are never in here.
//!
//! Promises: at most [`MAX_BEACONS`], the least recently heard goes; at most [`MAX_ENTRIES`] entries each: with all of
//! it full, under 4 MB.

use gateway_core::{BoundedMap, Timestamp};

use super::BleProblem;
use super::keys::Address;

/// Most beacons that are remembered.
pub const MAX_BEACONS: usize = 5_000;
/// Most entries of manufacturers that are remembered of one beacon.
const MAX_ENTRIES: usize = 96;

/// A counter below this may follow a higher one: the device restarted, with a new battery …
const RESTARTED: u64 = 100;
/// … if nothing newer was received for this long, in milliseconds. So a recording of a device's first packets is useless while
/// the device sends.
const SILENT: i64 = 60_000;
/// The same number of a packet after this many milliseconds is a new packet.
const SAME_PACKET: i64 = 4_000;
/// A number that is less than this ahead, modulo 256, is newer.
const AHEAD: u8 = 64;

/// Whether an advertisement is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    /// A repetition: devices send everything several times.
    Repeated,
}

#[derive(Debug, Default)]
struct Beacon {
    counter: Option<(u64, Timestamp)>,
    packet: Option<(u8, Timestamp)>,
    /// Hashes of the manufacturer's data that was there last time.
    entries: Vec<u32>,
}

/// The beacons.
#[derive(Debug)]
pub(super) struct Memory {
    beacons: BoundedMap<Address, Beacon>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { beacons: BoundedMap::new(MAX_BEACONS) }
    }
}

impl Memory {
    /// Takes a counter that may only grow.
    pub(super) fn counter(
        &mut self,
        address: Address,
        now: u64,
        at: Timestamp,
    ) -> Result<Novelty, BleProblem> {
        let beacon = self.beacons.refresh(address);
        let Some((last, heard)) = beacon.counter else {
            beacon.counter = Some((now, at));
            return Ok(Novelty::New);
        };
        if now == last {
            return Ok(Novelty::Repeated);
        }
        let restarted = now < RESTARTED && at.as_millis().saturating_sub(heard.as_millis()) >= SILENT;
        if now < last && !restarted {
            return Err(BleProblem::Replay { last, now });
        }
        beacon.counter = Some((now, at));
        Ok(Novelty::New)
    }

    /// Takes the number of a packet, modulo 256, from a device that does not encrypt. Older than the last one, by what is
    /// on its way at most, counts as again.
    pub(super) fn packet(&mut self, address: Address, now: u8, at: Timestamp) -> Novelty {
        let beacon = self.beacons.refresh(address);
        if let Some((last, heard)) = beacon.packet {
            let recent = at.as_millis().saturating_sub(heard.as_millis()) <= SAME_PACKET;
            let ahead = now.wrapping_sub(last);
            if recent && (ahead == 0 || ahead >= AHEAD) {
                return Novelty::Repeated;
            }
        }
        beacon.packet = Some((now, at));
        Novelty::New
    }

    /// Of the entries that a stack has added up, the one that was not there before. `None` where there is none, or more
    /// than one, so that the newest is unknown.
    pub(super) fn newest<'a>(
        &mut self,
        address: Address,
        entries: impl Iterator<Item = (u16, super::Bytes<'a>)> + Clone,
    ) -> Option<(u16, super::Bytes<'a>)> {
        let beacon = self.beacons.refresh(address);
        let mut changed = entries.clone().filter(|(id, data)| !beacon.entries.contains(&hash(*id, data.0)));
        let newest = changed.next().filter(|_| changed.next().is_none());
        drop(changed);
        beacon.entries.clear();
        beacon.entries.extend(entries.take(MAX_ENTRIES).map(|(id, data)| hash(id, data.0)));
        newest
    }
}

/// FNV-1a.
fn hash(id: u16, data: &[u8]) -> u32 {
    let bytes = id.to_le_bytes().into_iter().chain(data.iter().copied());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::super::Bytes;
    use super::*;

    const A: Address = Address([1; 6]);

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_counter_that_goes_back_is_a_replay() {
        let mut memory = Memory::default();
        assert_eq!(memory.counter(A, 5_000, seconds(0)), Ok(Novelty::New));
        assert_eq!(memory.counter(A, 5_000, seconds(1)), Ok(Novelty::Repeated));
        assert_eq!(memory.counter(A, 5_001, seconds(2)), Ok(Novelty::New));
        let replay = Err(BleProblem::Replay { last: 5_001, now: 5_000 });
        assert_eq!(memory.counter(A, 5_000, seconds(3)), replay);
        assert_eq!(memory.counter(A, 5_000, seconds(999)), replay, "however late");
        assert_eq!(memory.counter(Address([2; 6]), 5_000, seconds(3)), Ok(Novelty::New), "another device");
    }

    #[test]
    fn a_device_with_a_new_battery_is_heard_again_within_a_minute() {
        let mut memory = Memory::default();
        memory.counter(A, 5_000, seconds(0)).unwrap();
        assert!(memory.counter(A, 3, seconds(59)).is_err());
        assert_eq!(memory.counter(A, 4, seconds(60)), Ok(Novelty::New));
        assert_eq!(memory.counter(A, 5, seconds(61)), Ok(Novelty::New));
        assert!(memory.counter(A, 4, seconds(62)).is_err());
    }

    #[test]
    fn the_same_packet_number_is_the_same_packet_for_four_seconds() {
        let mut memory = Memory::default();
        assert_eq!(memory.packet(A, 250, seconds(0)), Novelty::New);
        assert_eq!(memory.packet(A, 250, seconds(1)), Novelty::Repeated);
        assert_eq!(memory.packet(A, 249, seconds(1)), Novelty::Repeated, "overtaken on its way");
        assert_eq!(memory.packet(A, 2, seconds(2)), Novelty::New, "255 is followed by 0");
        assert_eq!(memory.packet(A, 2, seconds(7)), Novelty::New);
    }

    #[test]
    fn of_what_a_stack_adds_up_the_new_entry_counts() {
        let mut memory = Memory::default();
        let (one, two, three) = ((1, Bytes(b"a")), (2, Bytes(b"b")), (3, Bytes(b"c")));
        assert_eq!(memory.newest(A, [one].into_iter()), Some(one));
        assert_eq!(memory.newest(A, [one].into_iter()), None);
        assert_eq!(memory.newest(A, [two, one].into_iter()), Some(two));
        assert_eq!(memory.newest(Address([2; 6]), [one, two].into_iter()), None, "which one is newer?");
        assert_eq!(memory.newest(A, [(1, Bytes(b"x")), two, three].into_iter()), None);
    }

    #[test]
    fn the_least_recently_heard_beacon_goes() {
        let mut memory = Memory::default();
        let address = |n: usize| Address([0, 0, 0, 0, (n >> 8) as u8, n as u8]);
        for n in 0..MAX_BEACONS {
            memory.counter(address(n), 500, seconds(0)).unwrap();
        }
        memory.counter(address(0), 500, seconds(0)).unwrap();
        memory.counter(address(MAX_BEACONS), 500, seconds(0)).unwrap();
        assert_eq!(memory.beacons.len(), MAX_BEACONS);
        assert!(memory.counter(address(0), 499, seconds(0)).is_err(), "heard again just before");
        assert_eq!(memory.counter(address(1), 499, seconds(0)), Ok(Novelty::New), "forgotten");
    }
}
