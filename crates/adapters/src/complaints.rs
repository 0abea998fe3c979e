//! What outsiders cause to be logged: now and then a line with the number of those passed over, so that nobody can fill
//! a disk.

use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Complaints {
    last: Option<Instant>,
    passed_over: u64,
}

impl Complaints {
    /// How many were passed over, if it is time for a line.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            self.passed_over = self.passed_over.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.passed_over))
    }
}
