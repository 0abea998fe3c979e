//! The clocks of a forwarder (µs) and of its nodes (ms). Both count from the start and wrap around at 32 bits, as in real
//! ones.

use std::time::{Duration, Instant};

/// A node may listen within this time after its frame, in µs.
const A_MINUTE: u32 = 60_000_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
    last_end: u64,
}

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self { began: now, last_end: 0 }
    }

    /// The forwarder's time at the end of a frame. No two frames end at the same time, so that no downlink is for two
    /// nodes.
    pub(super) fn end_of_frame(&mut self, now: Instant) -> u32 {
        self.last_end = self.micros(now).max(self.last_end + 1);
        tmst(self.last_end)
    }

    /// Whether that time has passed on the forwarder's clock.
    pub(super) fn has_passed(&self, tmst: u32, now: Instant) -> bool {
        self::tmst(self.micros(now)).wrapping_sub(tmst) < u32::MAX / 2
    }

    #[expect(clippy::cast_possible_truncation, reason = "584,000 years")]
    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_micros() as u64
    }

    /// The nodes' time.
    #[expect(clippy::cast_possible_truncation, reason = "it starts anew after 49 days")]
    pub(super) fn millis(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.began).as_millis() as u32
    }

    /// The instant of a time of the nodes' clock.
    pub(super) fn at(&self, millis: u32) -> Instant {
        self.began + Duration::from_millis(millis.into())
    }
}

/// The time as the protocol writes it.
#[expect(clippy::cast_possible_truncation, reason = "it starts anew after 71 minutes")]
const fn tmst(micros: u64) -> u32 {
    micros as u32
}

/// µs from one time of the forwarder's clock to a later one, within the minute in which a node may listen.
pub(super) fn after(later: u32, earlier: u32) -> Option<u32> {
    Some(later.wrapping_sub(earlier)).filter(|micros| *micros < A_MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only differences matter")]
    fn frames_end_one_after_the_other_also_when_the_clock_wraps() {
        let began = Instant::now();
        let mut clock = Clock::new(began);
        let nearly = began + Duration::from_micros(u64::from(u32::MAX));
        assert_eq!([began, began, nearly, nearly].map(|now| clock.end_of_frame(now)), [1, 2, u32::MAX, 0]);
        assert!(clock.has_passed(u32::MAX - 5, nearly + Duration::from_micros(3)));
        assert!(!clock.has_passed(5, nearly + Duration::from_micros(3)));
        assert_eq!((after(3, u32::MAX), after(u32::MAX, 3)), (Some(4), None));
    }
}
