//! Codecs that were stopped again and again are given a rest, so that a loop cannot take the gateway's time.
//!
//! A device whose messages made the codec loop [`DEVICE_STRIKES`] times in a row is passed over for a number of messages,
//! then tried once; each failed try doubles the number. Other devices with the same codec go on, unless it is stopped
//! [`CODEC_STRIKES`] times in a row whoever sends. Counted in messages, not in time: it needs no clock, and a device that
//! speaks once an hour costs nothing to try.

use super::error::ScriptFailure;

/// How often in a row for one device.
pub(super) const DEVICE_STRIKES: u32 = 3;
/// How often in a row for all of them.
pub(super) const CODEC_STRIKES: u32 = 10;

const FIRST_REST: u32 = 16;
const LONGEST_REST: u32 = 4096;

/// Most devices that are remembered.
const MAX_DEVICES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Strikes {
    codec: Count,
    /// Only those that were stopped last time.
    devices: Vec<(Box<str>, Count)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    times: u32,
    rest: u32,
}

impl Strikes {
    /// Whether to ask the codec about a message of `device`.
    pub(super) fn admit(&mut self, device: &str) -> Result<(), ScriptFailure> {
        self.codec.admit()?;
        self.of(device).map_or(Ok(()), |count| count.admit())
    }

    /// The codec was stopped.
    pub(super) fn stopped(&mut self, device: &str) {
        self.codec.stopped(CODEC_STRIKES);
        if let Some(count) = self.of(device) {
            count.stopped(DEVICE_STRIKES);
            return;
        }
        if self.devices.len() >= MAX_DEVICES {
            self.devices.remove(0);
        }
        self.devices.push((device.into(), Count { times: 1, rest: 0 }));
    }

    /// The codec came to an end by itself.
    pub(super) fn finished(&mut self, device: &str) {
        self.codec = Count::default();
        if !self.devices.is_empty() {
            self.devices.retain(|(known, _)| **known != *device);
        }
    }

    fn of(&mut self, device: &str) -> Option<&mut Count> {
        self.devices.iter_mut().find(|(known, _)| **known == *device).map(|(_, count)| count)
    }
}

impl Count {
    fn admit(&mut self) -> Result<(), ScriptFailure> {
        if self.rest == 0 {
            return Ok(());
        }
        let messages = self.rest;
        self.rest -= 1;
        Err(ScriptFailure::PutAside { times: self.times, messages })
    }

    fn stopped(&mut self, most: u32) {
        self.times = self.times.saturating_add(1);
        if let Some(further) = self.times.checked_sub(most) {
            self.rest = FIRST_REST.checked_shl(further.min(8)).unwrap_or(LONGEST_REST).min(LONGEST_REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_of(strikes: &mut Strikes, device: &str) -> u32 {
        (0..).take_while(|_| strikes.admit(device).is_err()).count().try_into().unwrap()
    }

    #[test]
    fn a_device_rests_after_three_stops_in_a_row_and_twice_as_long_after_each_failed_try() {
        let mut strikes = Strikes::default();
        for (stop, rest) in [(1, 0), (2, 0), (3, 16), (4, 32), (5, 64)] {
            strikes.stopped("a");
            strikes.finished("b");
            assert_eq!(rest_of(&mut strikes, "a"), rest, "after {stop} stops");
            assert_eq!(rest_of(&mut strikes, "b"), 0, "others go on");
        }
        for _ in 0..40 {
            strikes.stopped("a");
            strikes.finished("b");
        }
        assert_eq!(rest_of(&mut strikes, "a"), 4096);
    }

    #[test]
    fn an_answer_makes_good_what_was_before() {
        let mut strikes = Strikes::default();
        for device in ["a", "a", "b", "a", "a"] {
            strikes.stopped(device);
            if device == "b" {
                strikes.finished("a");
            }
        }
        assert_eq!(rest_of(&mut strikes, "a"), 0);
    }

    #[test]
    fn a_codec_that_loops_for_everybody_rests_for_everybody() {
        let mut strikes = Strikes::default();
        for device in 0..10 {
            strikes.stopped(&device.to_string());
        }
        assert_eq!(rest_of(&mut strikes, "new"), 16);
    }

    #[test]
    fn remembers_a_bounded_number_of_devices() {
        let mut strikes = Strikes::default();
        for device in 0..1_000 {
            strikes.stopped(&device.to_string());
        }
        assert_eq!(strikes.devices.len(), MAX_DEVICES);
    }
}
