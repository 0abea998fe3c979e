//! A point in time with the local time of day and of the week, on which the usual values depend.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

const DAY_MILLIS: i64 = 86_400_000;

/// A time and how far the local clock is ahead of UTC then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The time.
    pub at: Timestamp,
    /// Seconds that the local clock is ahead of UTC, summer time included; negative west of Greenwich.
    pub utc_offset: i32,
}

impl Moment {
    /// A time where the local clock shows UTC, or where `at` itself was read off a local clock.
    #[must_use]
    pub const fn utc(at: Timestamp) -> Self {
        Self { at, utc_offset: 0 }
    }

    const fn local_millis(self) -> i64 {
        self.at.as_millis().saturating_add(self.utc_offset as i64 * 1000)
    }

    /// Which of `slots` equal parts of the local day, from 0.
    #[must_use]
    pub fn slot_of_day(self, slots: u32) -> u32 {
        let millis = self.local_millis().rem_euclid(DAY_MILLIS).unsigned_abs();
        u32::try_from(millis * u64::from(slots) / DAY_MILLIS.unsigned_abs()).unwrap_or(0)
    }

    /// Which hour of the local week, 0 (Monday, midnight to one) to 167.
    #[must_use]
    pub fn hour_of_week(self) -> u32 {
        // 1970-01-01 was a Thursday.
        let day = (self.local_millis().div_euclid(DAY_MILLIS) + 3).rem_euclid(7);
        u32::try_from(day).unwrap_or(0) * 24 + self.slot_of_day(24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_weeks_are_those_of_the_local_clock() {
        let monday = Moment::utc(at("2026-11-23T00:30:00Z"));
        assert_eq!((monday.hour_of_week(), monday.slot_of_day(24), monday.slot_of_day(48)), (0, 0, 1));
        let still_sunday = Moment { utc_offset: -3600, ..monday };
        assert_eq!((still_sunday.hour_of_week(), still_sunday.slot_of_day(48)), (167, 47));
        let one_o_clock = Moment { utc_offset: 3600, ..monday };
        assert_eq!(one_o_clock.hour_of_week(), 1);
    }

    #[test]
    fn any_time_has_its_place() {
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            for utc_offset in [i32::MIN, 0, i32::MAX] {
                let moment = Moment { at: Timestamp::from_millis(millis), utc_offset };
                assert!(moment.hour_of_week() < 168);
                assert!(moment.slot_of_day(48) < 48);
            }
        }
    }
}
