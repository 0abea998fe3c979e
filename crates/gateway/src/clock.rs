//! The gateway's only clock: the wall clock, with a watch on it by the monotonic one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_core::ports::Clock;
use gateway_core::{Now, Timestamp};

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the rule means")]
    fn now(&self) -> Timestamp {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::from_millis(millis(since)),
            Err(before) => Timestamp::from_millis(-millis(before.duration())),
        }
    }
}

/// Time that goes by evenly, for uptime and for noticing that the wall clock was set.
#[expect(clippy::disallowed_methods, reason = "this is the clock that the rule means")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// A wall clock that differs by more than this from what the monotonic clock says was set, not slewed.
const STEP: i64 = 2_000;

/// Notices when the wall clock is set. A suspended machine looks the same: its monotonic clock stood still.
#[derive(Debug)]
pub(crate) struct StepWatch {
    wall: Timestamp,
    monotonic: Instant,
}

/// What the clocks say at the beginning of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockReading {
    pub(crate) now: Now,
    /// What it would be, had the clock not been set; none where it was not.
    pub(crate) stepped_from: Option<Timestamp>,
}

impl StepWatch {
    pub(crate) fn new(wall: Timestamp, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// Compares both clocks since the last call.
    pub(crate) fn read(&mut self, wall: Timestamp, monotonic: Instant) -> ClockReading {
        let expected = self.wall + monotonic.saturating_duration_since(self.monotonic);
        let stepped = wall.millis_after(expected).abs() > STEP;
        // Slewing adds up; only what happens between two reads is a step.
        *self = Self { wall, monotonic };
        ClockReading { now: Now::at(wall), stepped_from: stepped.then_some(expected) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_step_from_time_going_by() {
        let (wall, start) = (Timestamp::from_millis(1_800_000_000_000), monotonic());
        let mut watch = StepWatch::new(wall, start);
        let minute = Duration::from_secs(60);
        assert_eq!(watch.read(wall + minute, start + minute).stepped_from, None);
        let back = watch.read(wall, start + 2 * minute);
        assert_eq!(back.stepped_from, Some(wall + 2 * minute));
        assert_eq!(watch.read(wall + minute, start + 3 * minute).stepped_from, None);
    }
}
