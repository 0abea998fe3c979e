//! When to measure next: sooner while values change, later while they do not, at night, and when the battery is low.

use wire::Quantity;

use crate::board::Readings;
use crate::config::{Config, QuietHours};

/// Below this charge in % a node measures half as often, below the second only hourly.
const LOW_BATTERY: i64 = 20;
const EMPTY_BATTERY: i64 = 10;

/// How much of a threshold the fastest value changed since the measurement before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Less than a quarter.
    Calm,
    Slow,
    /// At least one threshold.
    Fast,
}

#[derive(Debug, Default)]
pub(crate) struct Sampling {
    /// Halvings of the interval, because values change.
    halvings: u32,
}

impl Sampling {
    /// Seconds to the next measurement.
    pub(crate) fn next(
        &mut self,
        interval: u32,
        change: Change,
        battery: Option<i64>,
        unix_time: Option<u32>,
        quiet_hours: Option<QuietHours>,
    ) -> u32 {
        let interval = interval.clamp(Config::SHORTEST, Config::LONGEST);
        match change {
            Change::Fast if interval >> self.halvings > Config::SHORTEST => self.halvings += 1,
            Change::Calm => self.halvings = self.halvings.saturating_sub(1),
            _ => {}
        }
        let seconds = interval >> self.halvings;
        let is_quiet = quiet_hours.zip(unix_time).is_some_and(|(hours, time)| hours.contain(time));
        let seconds = if is_quiet && change != Change::Fast { seconds * 2 } else { seconds };
        let seconds = match battery {
            Some(percent) if percent < EMPTY_BATTERY => Config::LONGEST,
            Some(percent) if percent < LOW_BATTERY => seconds * 2,
            _ => seconds,
        };
        seconds.clamp(Config::SHORTEST, Config::LONGEST)
    }
}

/// The charge in %, if the node measures it.
pub(crate) fn battery(readings: &Readings) -> Option<i64> {
    readings.iter().find(|reading| reading.quantity == Quantity::Battery)?.raw
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(changes: &[Change]) -> std::vec::Vec<u32> {
        let mut sampling = Sampling::default();
        changes.iter().map(|change| sampling.next(600, *change, Some(90), None, None)).collect()
    }

    #[test]
    fn values_that_change_are_measured_more_often_down_to_a_minute() {
        use Change::{Calm, Fast, Slow};
        let changes = [Slow, Fast, Slow, Fast, Fast, Fast, Fast, Calm, Calm, Calm, Calm, Calm];
        let expected = [600, 300, 300, 150, 75, 60, 60, 75, 150, 300, 600, 600];
        assert_eq!(intervals(&changes), expected);
    }

    #[test]
    fn a_low_battery_and_quiet_hours_double_the_interval() {
        let next = |interval, battery, hour: u32| {
            let hours = Some(QuietHours { from: 22, to: 6 });
            Sampling::default().next(interval, Change::Calm, battery, Some(hour * 3600), hours)
        };
        assert_eq!(next(600, Some(20), 12), 600);
        assert_eq!(next(600, None, 12), 600);
        assert_eq!(next(600, Some(19), 12), 1200);
        assert_eq!(next(600, Some(9), 12), 3600);
        assert_eq!(next(600, Some(90), 22), 1200);
        assert_eq!(next(600, Some(90), 5), 1200);
        assert_eq!(next(600, Some(90), 6), 600);
        assert_eq!(next(600, Some(19), 23), 2400);
        assert_eq!(next(3000, Some(19), 23), 3600);
        assert_eq!(next(1, Some(90), 12), 60);
    }
}
