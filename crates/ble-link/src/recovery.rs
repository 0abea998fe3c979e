//! Decides what to do about a scan that receives nothing, step by step. No IO; time is passed in.
//!
//! A building without Bluetooth devices is silent for ever, and a hung controller looks the same. So the steps follow each
//! other soon the first time, and each further round starts after a longer pause.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause between two rounds. Each pause is four times the one before.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// A notification of a connected device proves for this many times the silence limit that the controller works.
const CONNECTION_TRUST: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryStep {
    /// Stop and start the discovery.
    RestartScan,
    PowerCycle,
    /// Close the D-Bus session, open a new one and find the adapter again.
    Rebuild,
}

impl RecoveryStep {
    /// The name shown in `health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RestartScan => "restarting scan",
            Self::PowerCycle => "power-cycling",
            Self::Rebuild => "rebuilding session",
        }
    }
}

/// From the least to the most disruptive.
const STEPS: [RecoveryStep; 3] = [RecoveryStep::RestartScan, RecoveryStep::PowerCycle, RecoveryStep::Rebuild];

/// The state of the recovery: which step is next and when.
#[derive(Debug)]
pub struct Recovery {
    silent_after: Duration,
    pause: Duration,
    next: usize,
    due: Instant,
    disruption_blocked_until: Option<Instant>,
}

impl Recovery {
    /// The state of a scan that has just started. Recovery begins after `silent_after` without an advertisement.
    #[must_use]
    pub fn new(silent_after: Duration, now: Instant) -> Self {
        Self {
            silent_after,
            pause: silent_after,
            next: 0,
            due: now + silent_after,
            disruption_blocked_until: None,
        }
    }

    /// Resets the recovery: the scan works.
    pub fn advertisement_received(&mut self, now: Instant) {
        (self.pause, self.next) = (self.silent_after, 0);
        self.due = now + self.silent_after;
    }

    /// A connected device sent a value, so the controller works. All steps but the first would cut that connection: they
    /// are skipped for a while.
    pub fn notification_received(&mut self, now: Instant) {
        self.disruption_blocked_until = Some(now + self.silent_after.saturating_mul(CONNECTION_TRUST));
    }

    /// Gives a new scan time to receive something.
    pub fn scan_started(&mut self, now: Instant) {
        self.due = self.due.max(now + self.silent_after);
    }

    /// When the next step is due, if nothing is received.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Whether a step was taken since the last advertisement.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.next > 0 || self.pause > self.silent_after
    }

    /// The step that is due now, if any. It counts as taken.
    pub fn next_step(&mut self, now: Instant) -> Option<RecoveryStep> {
        if now < self.due {
            return None;
        }
        let is_blocked = self.disruption_blocked_until.is_some_and(|until| now < until);
        let step =
            STEPS.get(self.next).copied().filter(|step| !is_blocked || *step == RecoveryStep::RestartScan);
        self.next += 1;
        if self.next < STEPS.len() {
            self.due = now + self.silent_after;
        } else {
            self.next = 0;
            self.pause = self.pause.saturating_mul(4).min(MAX_PAUSE.max(self.silent_after));
            self.due = now + self.pause;
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT_AFTER: Duration = Duration::from_secs(60);

    #[test]
    fn the_steps_follow_one_by_one_and_the_next_round_later() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut recovery = Recovery::new(SILENT_AFTER, start);
        assert_eq!(recovery.next_step(at(59)), None);
        assert!(!recovery.is_silent());
        assert_eq!(recovery.next_step(at(60)), Some(RecoveryStep::RestartScan));
        assert!(recovery.is_silent());
        assert_eq!(recovery.next_step(at(119)), None);
        assert_eq!(recovery.next_step(at(120)), Some(RecoveryStep::PowerCycle));
        assert_eq!(recovery.next_step(at(180)), Some(RecoveryStep::Rebuild));
        assert!(recovery.is_silent());
        assert_eq!(recovery.next_step(at(180 + 239)), None, "four times as long");
        assert_eq!(recovery.next_step(at(180 + 240)), Some(RecoveryStep::RestartScan));
    }

    #[test]
    fn an_advertisement_resets_the_steps() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut recovery = Recovery::new(SILENT_AFTER, start);
        for second in [60, 120, 180] {
            recovery.next_step(at(second));
        }
        recovery.advertisement_received(at(200));
        assert!(!recovery.is_silent());
        assert_eq!(recovery.next_step(at(259)), None);
        assert_eq!(recovery.next_step(at(260)), Some(RecoveryStep::RestartScan));
    }

    #[test]
    fn a_connection_is_not_cut_while_it_delivers_values() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut recovery = Recovery::new(SILENT_AFTER, start);
        recovery.notification_received(at(30));
        assert_eq!(
            recovery.next_step(at(60)),
            Some(RecoveryStep::RestartScan),
            "a notification does not prove that the scan works"
        );
        assert_eq!((recovery.next_step(at(120)), recovery.next_step(at(180))), (None, None));
        assert_eq!(recovery.next_step(at(420)), Some(RecoveryStep::RestartScan));
        assert_eq!(
            recovery.next_step(at(480)),
            Some(RecoveryStep::PowerCycle),
            "silent for longer than a notification proves anything"
        );
    }

    #[test]
    fn a_silent_building_gets_one_round_an_hour() {
        let mut now = Instant::now();
        let mut recovery = Recovery::new(SILENT_AFTER, now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            while recovery.next_step(now) != Some(RecoveryStep::Rebuild) {
                now = recovery.due();
            }
            pauses.push((recovery.due() - now).as_secs());
        }
        assert_eq!(pauses, [240, 960, 3600, 3600, 3600, 3600, 3600, 3600]);
    }
}
