//! What is done about a scan that has gone quiet, step by step: no IO, time is given.
//!
//! A building without a single device in the air is quiet for good, and a hung controller looks just like it. So the steps
//! come soon the first time, and the whole ladder ever more rarely after that.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause between two climbs; each is four times the one before.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// For so many times the quiet that is suspected, the value of a connected device speaks for the controller.
const SPEAKS_FOR: u32 = 5;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Stop the discovery and start it again.
    RestartScan,
    /// Switch the adapter off and on.
    PowerCycle,
    /// Leave the bus, come back, and find the adapter anew.
    Rebuild,
}

impl Step {
    /// Its name in `health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RestartScan => "restarting scan",
            Self::PowerCycle => "power-cycling",
            Self::Rebuild => "rebuilding session",
        }
    }
}

/// The steps, from the harmless to the drastic.
const STEPS: [Step; 3] = [Step::RestartScan, Step::PowerCycle, Step::Rebuild];

/// Where on it we are.
#[derive(Debug)]
pub struct Ladder {
    quiet: Duration,
    pause: Duration,
    next: usize,
    due: Instant,
    spared_until: Option<Instant>,
}

impl Ladder {
    /// A scan that has just begun. It is suspected after `quiet` without a sound.
    #[must_use]
    pub fn new(quiet: Duration, now: Instant) -> Self {
        Self { quiet, pause: quiet, next: 0, due: now + quiet, spared_until: None }
    }

    /// Something was heard: all is well.
    pub fn heard(&mut self, now: Instant) {
        (self.pause, self.next) = (self.quiet, 0);
        self.due = now + self.quiet;
    }

    /// A connected device gave a value: the controller works, whatever the scan does, and all steps but the first would
    /// cut the connection. They are not taken for a while.
    pub fn spoken(&mut self, now: Instant) {
        self.spared_until = Some(now + self.quiet.saturating_mul(SPEAKS_FOR));
    }

    /// A scan has begun anew: it is given time.
    pub fn begun(&mut self, now: Instant) {
        self.due = self.due.max(now + self.quiet);
    }

    /// When the next step is due, if nothing is heard.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Whether a step was taken since something was heard.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.next > 0 || self.pause > self.quiet
    }

    /// The step that is due; it counts as taken.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        if now < self.due {
            return None;
        }
        let is_spared = self.spared_until.is_some_and(|until| now < until);
        let step = STEPS.get(self.next).copied().filter(|step| !is_spared || *step == Step::RestartScan);
        self.next += 1;
        if self.next < STEPS.len() {
            self.due = now + self.quiet;
        } else {
            self.next = 0;
            self.pause = self.pause.saturating_mul(4).min(LONGEST_PAUSE.max(self.quiet));
            self.due = now + self.pause;
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(60);

    #[test]
    fn the_steps_come_one_by_one_and_the_next_climb_later() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ladder = Ladder::new(QUIET, start);
        assert_eq!(ladder.step(at(59)), None);
        assert!(!ladder.is_quiet());
        assert_eq!(ladder.step(at(60)), Some(Step::RestartScan));
        assert!(ladder.is_quiet());
        assert_eq!(ladder.step(at(119)), None);
        assert_eq!(ladder.step(at(120)), Some(Step::PowerCycle));
        assert_eq!(ladder.step(at(180)), Some(Step::Rebuild));
        assert!(ladder.is_quiet());
        assert_eq!(ladder.step(at(180 + 239)), None, "four times as long");
        assert_eq!(ladder.step(at(180 + 240)), Some(Step::RestartScan));
    }

    #[test]
    fn a_sound_begins_anew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ladder = Ladder::new(QUIET, start);
        for second in [60, 120, 180] {
            ladder.step(at(second));
        }
        ladder.heard(at(200));
        assert!(!ladder.is_quiet());
        assert_eq!(ladder.step(at(259)), None);
        assert_eq!(ladder.step(at(260)), Some(Step::RestartScan));
    }

    #[test]
    fn what_is_connected_is_not_cut_while_it_speaks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ladder = Ladder::new(QUIET, start);
        ladder.spoken(at(30));
        assert_eq!(ladder.step(at(60)), Some(Step::RestartScan), "it does not speak for the scan");
        assert_eq!((ladder.step(at(120)), ladder.step(at(180))), (None, None));
        assert_eq!(ladder.step(at(420)), Some(Step::RestartScan));
        assert_eq!(ladder.step(at(480)), Some(Step::PowerCycle), "silent for longer than it speaks for");
    }

    #[test]
    fn a_silent_building_is_tried_once_an_hour() {
        let mut now = Instant::now();
        let mut ladder = Ladder::new(QUIET, now);
        let mut climbs = Vec::new();
        for _ in 0..8 {
            while ladder.step(now) != Some(Step::Rebuild) {
                now = ladder.due();
            }
            climbs.push((ladder.due() - now).as_secs());
        }
        assert_eq!(climbs, [240, 960, 3600, 3600, 3600, 3600, 3600, 3600]);
    }
}
