//! The gateway's only clocks: the wall clock, and two steady ones that show when the wall clock was set and when the
//! machine slept.
//!
//! `CLOCK_BOOTTIME` counts a suspended machine's sleep, `CLOCK_MONOTONIC` does not (clock_gettime(2)). So a wall clock
//! that goes another way than `CLOCK_BOOTTIME` was set, and where `CLOCK_BOOTTIME` runs ahead of `CLOCK_MONOTONIC` the
//! machine slept.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway_core::ports::Clock;
use gateway_core::{Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

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

/// Time that goes by evenly while the machine is awake, for uptime.
#[expect(clippy::disallowed_methods, reason = "this is the clock that the rule means")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// How the even clocks stand.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    /// `CLOCK_MONOTONIC`.
    awake: Instant,
    /// `CLOCK_BOOTTIME`.
    whole: Duration,
}

/// Both even clocks, now.
pub fn ticks() -> Ticks {
    // Since Linux 2.6.39 there is such a clock; neither it nor what it counts is ever negative.
    let whole = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    Ticks { awake: monotonic(), whole }
}

/// A wall clock that differs by more than this from the steady clock was set, not slewed; a machine of which
/// more time than this is missing slept. Milliseconds.
const STEP: i64 = 2_000;
/// Nobody looked at the clock for longer than this: the process was stopped, or hung on its disk. It looks every 5 s.
const STALLED: Duration = Duration::from_secs(60);

/// Compares the clocks from batch to batch.
#[derive(Debug)]
pub struct StepWatch {
    wall: Timestamp,
    ticks: Ticks,
}

/// The clocks at the beginning of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    pub now: Now,
    /// What it would be, had the clock not been set; none where it was not.
    pub stepped_from: Option<Timestamp>,
    /// Between this time, by the present clock, and now the gateway received nothing: the machine slept, or the process stood
    /// still. Set or not, the clock is no part of it.
    pub away_since: Option<Timestamp>,
}

impl StepWatch {
    pub fn new(wall: Timestamp, ticks: Ticks) -> Self {
        Self { wall, ticks }
    }

    /// Compares all clocks since the last call.
    pub fn read(&mut self, wall: Timestamp, ticks: Ticks) -> ClockReading {
        let awake = ticks.awake.saturating_duration_since(self.ticks.awake);
        let passed = ticks.whole.saturating_sub(self.ticks.whole).max(awake);
        let slept = passed.saturating_sub(awake);
        let expected = self.wall + passed;
        let stepped = wall.millis_after(expected).abs() > STEP;
        let away = if awake > STALLED { passed } else { slept };
        // Slewing adds up; only what happens between two reads is a step.
        *self = Self { wall, ticks };
        ClockReading {
            now: Now::at(wall),
            stepped_from: stepped.then_some(expected),
            away_since: (away.as_millis() > u128::from(STEP.unsigned_abs())).then(|| wall - away),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    /// A machine whose clocks the test moves.
    struct Machine {
        wall: Timestamp,
        ticks: Ticks,
        watch: StepWatch,
    }

    impl Machine {
        fn new() -> Self {
            let (wall, ticks) = (Timestamp::from_millis(1_800_000_000_000), ticks());
            Self { wall, ticks, watch: StepWatch::new(wall, ticks) }
        }

        fn run(&mut self, time: Duration) -> &mut Self {
            self.wall = self.wall + time;
            self.ticks.awake += time;
            self.ticks.whole += time;
            self
        }

        fn sleep(&mut self, time: Duration) -> &mut Self {
            self.wall = self.wall + time;
            self.ticks.whole += time;
            self
        }

        fn set(&mut self, wall: Timestamp) -> &mut Self {
            self.wall = wall;
            self
        }

        fn read(&mut self) -> (Option<Timestamp>, Option<Timestamp>) {
            let reading = self.watch.read(self.wall, self.ticks);
            assert_eq!(reading.now.at, self.wall);
            (reading.stepped_from, reading.away_since)
        }
    }

    #[test]
    fn tells_a_step_from_time_going_by() {
        let mut machine = Machine::new();
        assert_eq!(machine.run(5 * SECOND).read(), (None, None));
        let unset = machine.wall;
        assert_eq!(machine.set(unset - HOUR).run(SECOND).read(), (Some(unset + SECOND), None));
        assert_eq!(machine.run(5 * SECOND).read(), (None, None));
        assert_eq!(machine.set(unset).read(), (Some(unset - HOUR + 6 * SECOND), None));
    }

    #[test]
    fn sleep_is_time_in_which_nobody_listened_and_no_step() {
        let mut machine = Machine::new();
        let (slept_from, eight_hours) = (machine.wall + 3 * SECOND, 8 * HOUR);
        machine.run(3 * SECOND).sleep(eight_hours);
        assert_eq!(machine.read(), (None, Some(slept_from)));
        assert_eq!(machine.run(SECOND).read(), (None, None), "reported once");
        assert_eq!(machine.sleep(SECOND).read(), (None, None), "too short to matter");
    }

    #[test]
    fn a_clock_that_is_set_on_waking_is_both() {
        let mut machine = Machine::new();
        machine.sleep(8 * HOUR);
        let unset = machine.wall;
        let set = unset - HOUR;
        assert_eq!(machine.set(set).read(), (Some(unset), Some(set - 8 * HOUR)));
    }

    #[test]
    fn a_process_that_stood_still_did_not_listen() {
        let mut machine = Machine::new();
        let stopped = machine.wall;
        assert_eq!(machine.run(HOUR).read(), (None, Some(stopped)));
    }

    #[test]
    fn the_machines_own_clocks_agree_while_it_is_awake() {
        let mut watch = StepWatch::new(SystemClock.now(), ticks());
        let reading = watch.read(SystemClock.now(), ticks());
        assert_eq!((reading.stepped_from, reading.away_since), (None, None));
        assert!(ticks().whole > Duration::ZERO);
    }
}
