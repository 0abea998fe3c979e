//! The pauses between attempts: doubling, bounded, with jitter. Policy only: the caller provides time and random numbers.

use std::time::Duration;

/// Waits of `first`, twice that, … up to `longest`, each reduced by up to a half by chance so that many gateways that
/// lost the same broker do not come back in one instant.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at `first`, never waits longer than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempt: 0 }
    }

    /// The next wait; `chance` in 0..1 is drawn by the caller.
    pub fn next_wait(&mut self, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.attempt.min(30)).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        let full = doubled.min(self.longest);
        full.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Things work again: the next trouble starts small.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many waits since the last reset.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<_> = (0..4).map(|_| backoff.next_wait(0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5]);
        assert_eq!(backoff.next_wait(1.0), Duration::from_millis(2500));
        backoff.reset();
        assert_eq!(backoff.next_wait(0.0), Duration::from_secs(1));
    }
}
