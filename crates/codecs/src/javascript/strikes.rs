//! Codecs that were stopped again and again are given a rest, so that a loop cannot take the gateway's time.
//!
//! A device whose messages made the codec loop [`DEVICE_STRIKES`] times is passed over for a number of messages, then tried
//! again; each further loop doubles the number, and [`FORGIVEN_AFTER`] answers in a row make good for one. So whatever a
//! device sends, after the first three at most one of its messages in 33 takes the whole time. Other devices with the same codec go on, unless it is stopped
//! [`CODEC_STRIKES`] times in a row, for any devices. Counted in messages, not in time: it needs no clock, and a device that
//! speaks once an hour costs nothing to try.

use super::error::ScriptFailure;

/// How often for one device.
pub(super) const DEVICE_STRIKES: u32 = 3;
/// How often in a row for all of them.
pub(super) const CODEC_STRIKES: u32 = 10;

const FIRST_REST: u32 = 16;
const LONGEST_REST: u32 = 4096;

/// Answers in a row that make good for one stop of a device.
const FORGIVEN_AFTER: u32 = 16;

/// Most devices that are remembered.
const MAX_DEVICES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Strikes {
    codec: Count,
    /// Only those with a stop that is not made good.
    devices: Vec<(Box<str>, Count)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    times: u32,
    rest: u32,
    /// Answers since the last stop.
    answers: u32,
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
        self.devices.push((device.into(), Count { times: 1, ..Count::default() }));
    }

    /// It could not even be stopped: no message is to try that again soon.
    pub(super) fn was_deaf(&mut self, device: &str) {
        (0..DEVICE_STRIKES).for_each(|_| self.stopped(device));
    }

    /// The codec came to an end by itself.
    pub(super) fn finished(&mut self, device: &str) {
        self.codec = Count::default();
        if !self.devices.is_empty() {
            self.devices.retain_mut(|(known, count)| **known != *device || !count.made_good());
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

    /// Takes an answer into account; whether no stop is left.
    fn made_good(&mut self) -> bool {
        self.answers += 1;
        if self.answers >= FORGIVEN_AFTER {
            self.answers = 0;
            self.times = self.times.saturating_sub(1);
        }
        self.times == 0
    }

    fn stopped(&mut self, most: u32) {
        self.answers = 0;
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
    fn a_device_that_loops_every_other_time_rests_too() {
        let mut strikes = Strikes::default();
        for rest in [0, 0, 16, 32, 64] {
            strikes.stopped("a");
            assert_eq!(rest_of(&mut strikes, "a"), rest);
            strikes.finished("a");
        }
    }

    #[test]
    fn sixteen_answers_in_a_row_make_good_one_stop() {
        let mut strikes = Strikes::default();
        let answer = |strikes: &mut Strikes, times| (0..times).for_each(|_| strikes.finished("a"));
        strikes.stopped("a");
        strikes.stopped("a");
        answer(&mut strikes, 15);
        strikes.stopped("a");
        assert_eq!(rest_of(&mut strikes, "a"), 16, "fifteen were too few");
        answer(&mut strikes, 16);
        strikes.stopped("a");
        assert_eq!(rest_of(&mut strikes, "a"), 16, "not twice as long");
        answer(&mut strikes, 48);
        assert!(strikes.devices.is_empty());
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

    #[test]
    fn a_device_whose_message_could_not_even_be_stopped_rests_at_once() {
        let mut strikes = Strikes::default();
        strikes.was_deaf("a");
        assert_eq!(rest_of(&mut strikes, "a"), 16);
        assert_eq!(rest_of(&mut strikes, "b"), 0);
    }
}
