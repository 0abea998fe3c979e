//! Detects devices and series without readings, by the gateway's clock.
//!
//! Time in which the gateway itself did not listen, or by which its clock was set, counts neither as silence nor
//! as part of a `for`. The caller reports the former; the latter, and an absence that was not reported, show as a gap between
//! two looks at the clock, so [`ClockWatch`] asks to be called at least every [`HEARTBEAT`].

use std::time::Duration;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// How often the clock must be looked at while a device is watched or an alert is pending.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(30);
/// A gap longer than this means that the gateway was stopped or suspended, or the clock was set forward.
const LONGEST_GAP: Duration = Duration::from_secs(90);

/// Whether `millis` are no more than may lie between two looks. Time that runs backwards is not short.
pub(crate) fn is_short(millis: i64) -> bool {
    (0..=i64::try_from(LONGEST_GAP.as_millis()).unwrap_or(i64::MAX)).contains(&millis)
}

/// One rule's `silent_for` on one device or series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Silence {
    /// Index of the rule.
    pub(crate) rule: u32,
    /// When it was raised.
    pub(crate) since: Option<Timestamp>,
}

/// Notices jumps of the clock.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ClockWatch {
    last_look: Option<Timestamp>,
}

impl ClockWatch {
    /// By how many milliseconds, of either sign, the clock jumped since the last look; 0 for time that simply passed.
    pub(crate) fn look(&mut self, now: Timestamp) -> i64 {
        let passed = self.last_look.map_or(0, |last| now.millis_after(last));
        self.last_look = Some(now);
        if is_short(passed) { 0 } else { passed }
    }

    /// So much of what passes until the next look is known not to count; what is left of it may still be a jump.
    pub(crate) fn was_away(&mut self, millis: i64) {
        self.last_look =
            self.last_look.map(|last| Timestamp::from_millis(last.as_millis().saturating_add(millis)));
    }

    /// When to look again at the latest.
    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        self.last_look.map(|last| last + HEARTBEAT)
    }
}
