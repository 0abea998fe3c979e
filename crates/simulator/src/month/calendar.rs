//! Time of the building: minutes, working days and holidays. Local time is UTC.

use gateway_core::Timestamp;

use crate::chance::mix;
use crate::profile;

const MINUTE_MILLIS: i64 = 60_000;
const DAY_MINUTES: i64 = 1440;
/// Days from one holiday to the next, roughly.
const STRETCH_DAYS: i64 = 30;
/// The holiday is in the second or third week of a period.
const HOLIDAY_FROM: i64 = 10;
const HOLIDAY_WITHIN: u64 = 14;

/// Whole minutes since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minute(pub(super) i64);

impl Minute {
    /// The minute that contains `at`.
    pub(super) const fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(MINUTE_MILLIS))
    }

    /// Its beginning.
    pub(super) const fn at(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(MINUTE_MILLIS))
    }

    /// Days since 1970.
    pub(super) const fn day(self) -> i64 {
        self.0.div_euclid(DAY_MINUTES)
    }

    /// Quarters of an hour since 1970.
    pub(super) const fn quarter(self) -> i64 {
        self.0.div_euclid(15)
    }

    /// Hour of the day, 0..24.
    pub(super) fn hour(self) -> f64 {
        profile::hour(self.at())
    }

    /// Days from `earlier` to this minute.
    pub(super) fn days_after(self, earlier: Self) -> f64 {
        self.at().since(earlier.at()).as_secs_f64() / 86_400.0
    }

    /// Days since 1970, with the part of the day that has passed.
    pub(super) fn days(self) -> f64 {
        self.days_after(Self(0))
    }
}

/// The working days: not Saturdays and Sundays, and not one more day in thirty.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    seed: u64,
    /// Days since 1970.
    first: i64,
}

impl Calendar {
    /// The first holiday is in the second or third week from `from` on.
    pub(super) const fn new(seed: u64, from: Minute) -> Self {
        Self { seed, first: from.day() }
    }

    /// Whether people come on this day at all.
    pub(super) fn is_working_day(&self, minute: Minute) -> bool {
        !profile::is_weekend(minute.at()) && minute.day() != self.holiday_around(minute)
    }

    /// The holiday in the period of thirty days around `minute`; never on a weekend.
    pub(super) fn holiday_around(&self, minute: Minute) -> i64 {
        let stretch = (minute.day() - self.first).div_euclid(STRETCH_DAYS);
        let chance = mix(mix(self.seed) ^ stretch.cast_unsigned()) % HOLIDAY_WITHIN;
        let day = self.first + stretch * STRETCH_DAYS + HOLIDAY_FROM + chance.cast_signed();
        let is_weekend = |day: i64| profile::is_weekend(Minute(day * DAY_MINUTES).at());
        (day..).find(|day| !is_weekend(*day)).unwrap_or(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> Minute {
        Minute::of(text.parse().unwrap())
    }

    #[test]
    fn a_month_has_one_holiday_and_it_is_no_weekend() {
        for seed in 0..50 {
            let from = minute("2026-01-05T00:00:00Z");
            let calendar = Calendar::new(seed, from);
            let days = (0..30).map(|day| Minute(from.0 + day * DAY_MINUTES));
            let free = days.filter(|day| !calendar.is_working_day(*day) && !profile::is_weekend(day.at()));
            assert_eq!(free.count(), 1, "seed {seed}");
        }
    }

    #[test]
    fn minutes_know_their_hour_and_day() {
        let minute = minute("2026-01-05T18:30:59Z");
        assert_eq!(minute.at().to_string(), "2026-01-05T18:30:00.000Z");
        assert!((minute.hour() - 18.5).abs() < 1e-9);
        assert_eq!(minute.day() * 96 + 74, minute.quarter());
    }
}
