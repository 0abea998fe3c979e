//! The interval of a device's messages, to detect when it is silent.
//!
//! The interval is the longest recent gap between arrivals: it rises at once (at most fourfold, so that one outage does not
//! count as a habit) and decays by an eighth with each arrival. A plain mean would be too low for messages that come in
//! bursts. Several readings at one instant are one arrival.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::settings::shifted;

/// Below this a burst does not limit how fast the interval may rise again.
const SMALLEST_STEP: i64 = 1_000;

/// When one device's readings came in, by the gateway's clock.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    last: Option<Timestamp>,
    /// Milliseconds; unknown before the second arrival.
    interval: Option<i64>,
}

impl Arrivals {
    pub(crate) fn record(&mut self, now: Timestamp) {
        let Some(last) = self.last else {
            self.last = Some(now);
            return;
        };
        if now == last {
            return;
        }
        self.last = Some(now);
        let gap = now.millis_after(last).max(0);
        self.interval = Some(match self.interval {
            None => gap,
            Some(known) => {
                let highest = known.max(SMALLEST_STEP).saturating_mul(4);
                gap.min(highest).max(known - known / 8)
            }
        });
    }

    /// When the device counts as silent: two intervals after its last arrival, at least `least` and at most `most`
    /// milliseconds; `most` where the interval is not known yet.
    pub(crate) fn silent_at(&self, least: i64, most: i64) -> Option<Timestamp> {
        let grace = self.interval.map_or(most, |interval| interval.saturating_mul(2).min(most)).max(least);
        self.last.map(|last| shifted(last, grace))
    }

    /// The clock was set by so many milliseconds.
    pub(crate) fn shift(&mut self, millis: i64) {
        self.last = self.last.map(|last| shifted(last, millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent_after(arrivals: &[i64]) -> i64 {
        let mut noted = Arrivals::default();
        arrivals.iter().for_each(|at| noted.record(Timestamp::from_millis(*at)));
        noted.silent_at(10, 300_000).unwrap().as_millis() - arrivals.last().unwrap()
    }

    #[test]
    fn waits_two_intervals() {
        assert_eq!(silent_after(&[0, 60_000, 120_000, 180_000]), 120_000);
    }

    #[test]
    fn waits_as_long_as_allowed_while_nothing_is_known() {
        assert_eq!(silent_after(&[0]), 300_000);
        assert_eq!(silent_after(&[5, 5, 5]), 300_000);
    }

    #[test]
    fn messages_in_bursts_do_not_shorten_the_wait_below_the_pause_between_bursts() {
        let bursts: Vec<i64> = (0..20).flat_map(|n| [n * 60_000, n * 60_000 + 5, n * 60_000 + 10]).collect();
        assert!(silent_after(&bursts) > 60_000);
    }

    #[test]
    fn a_long_batch_brings_the_wait_down_to_the_least() {
        let batch: Vec<i64> = (0..200).map(|n| n * 2).collect();
        assert_eq!(silent_after(&batch), 10);
    }

    #[test]
    fn an_outage_is_no_habit() {
        assert_eq!(silent_after(&[0, 10_000, 20_000, 50_000_000]), 80_000);
    }
}
