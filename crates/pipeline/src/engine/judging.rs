//! How the anomaly model judges, and the local clock that it lives by.

use std::time::Duration;

use gateway_core::{Moment, Timestamp};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// What decides how readings are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judging {
    /// Whose days and weeks: an IANA name such as `Europe/Paris`.
    pub timezone: Box<str>,
    /// How long an anomaly that was reported is suppressed.
    pub hold: Duration,
    /// Most series with a model.
    pub max_series: u32,
}

/// Offsets change at quarters of an hour at the finest.
const QUARTER_MILLIS: i64 = 900_000;

/// Local time; looks the offset up once for each quarter of an hour.
#[derive(Debug)]
pub struct LocalClock {
    zone: TimeZone,
    /// Quarter of an hour since 1970, and the offset in seconds then.
    newest: (i64, i32),
}

impl LocalClock {
    /// UTC where there is no such zone, and where nothing is judged.
    pub fn of(judging: Option<&Judging>) -> Self {
        let zone = judging.and_then(|judging| TimeZone::get(&judging.timezone).ok()).unwrap_or(TimeZone::UTC);
        let offset = offset(&zone, 0);
        Self { zone, newest: (0, offset) }
    }

    /// The same time, with what the local clock shows.
    pub fn moment(&mut self, at: Timestamp) -> Moment {
        let quarter = at.as_millis().div_euclid(QUARTER_MILLIS);
        if quarter != self.newest.0 {
            self.newest = (quarter, offset(&self.zone, quarter));
        }
        Moment { at, utc_offset: self.newest.1 }
    }
}

fn offset(zone: &TimeZone, quarter: i64) -> i32 {
    let millis = quarter.saturating_mul(QUARTER_MILLIS);
    jiff::Timestamp::from_millisecond(millis).map_or(0, |at| zone.to_offset(at).seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judging(timezone: &str) -> Judging {
        Judging { timezone: timezone.into(), hold: Duration::ZERO, max_series: 1 }
    }

    #[test]
    fn summer_time_begins_and_ends() {
        let mut clock = LocalClock::of(Some(&judging("Europe/Paris")));
        let mut hours = |text: &str| clock.moment(text.parse().unwrap()).utc_offset / 3600;
        assert_eq!(hours("2026-03-29T00:59:59Z"), 1);
        assert_eq!(hours("2026-03-29T01:00:00Z"), 2);
        assert_eq!(hours("2026-10-25T00:59:59Z"), 2);
        assert_eq!(hours("2026-10-25T01:00:00Z"), 1);
    }

    #[test]
    fn an_unknown_zone_is_utc_and_no_time_is_out_of_reach() {
        let mut clock = LocalClock::of(Some(&judging("Nowhere/Else")));
        for millis in [i64::MIN, 0, i64::MAX] {
            assert_eq!(clock.moment(Timestamp::from_millis(millis)).utc_offset, 0);
        }
    }
}
