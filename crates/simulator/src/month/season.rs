//! The season: the average temperature and the height of the sun on a date, at 50° north and far from the sea.

use std::f64::consts::TAU;

use super::calendar::Minute;

/// The yearly mean, and half the difference between the coldest and the warmest day, in °C.
const MEAN: f64 = 9.5;
const SWING: f64 = 9.5;
const YEAR_DAYS: f64 = 365.2425;
/// 20 January, in days from the new year.
const COLDEST_DAY: f64 = 19.0;
/// 21 December.
const SHORTEST_DAY: f64 = 354.0;
const LATITUDE: f64 = 50.0;
/// The tilt of the earth's axis, in degrees.
const TILT: f64 = 23.44;
/// The hour with the highest sun.
const NOON: f64 = 12.5;

/// -1 on `day` of the year, 1 half a year later.
fn swing(minute: Minute, day: f64) -> f64 {
    -((minute.days() - day) / YEAR_DAYS * TAU).cos()
}

/// The average temperature at this time of the year, in °C.
pub(super) fn temperature(minute: Minute) -> f64 {
    MEAN + SWING * swing(minute, COLDEST_DAY)
}

/// The sunlight of a clear sky: 0 at night, about 0.3 at noon in December, 0.9 in March, 1.2 in June.
pub(super) fn sun(minute: Minute) -> f64 {
    let declination = (TILT * swing(minute, SHORTEST_DAY)).to_radians();
    let latitude = LATITUDE.to_radians();
    let hour_angle = (minute.hour() - NOON) / 24.0 * TAU;
    let height = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    // Buildings and trees hide the first degrees.
    (1.4 * height - 0.06).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> Minute {
        Minute::of(text.parse().unwrap())
    }

    #[test]
    fn january_is_cold_july_is_warm_and_autumn_falls() {
        let mean = |text| temperature(minute(text));
        assert!(mean("2026-01-20T12:00:00Z") < 0.1);
        assert!(mean("2026-07-20T12:00:00Z") > 18.9);
        let fall = mean("2026-10-15T12:00:00Z") - mean("2026-11-15T12:00:00Z");
        assert!((3.5..5.5).contains(&fall), "{fall}");
    }

    #[test]
    fn summer_days_are_long_and_winter_days_short() {
        let minutes_of_sun = |text: &str| {
            let from = minute(text);
            (0..1440).filter(|i| sun(Minute(from.0 + i)) > 0.0).count() / 60
        };
        assert!((6..=8).contains(&minutes_of_sun("2026-12-21T00:00:00Z")));
        assert!((10..=12).contains(&minutes_of_sun("2026-03-21T00:00:00Z")));
        assert!((14..=16).contains(&minutes_of_sun("2026-06-21T00:00:00Z")));
        assert!((0.2..0.4).contains(&sun(minute("2026-12-21T12:30:00Z"))));
        assert!((1.1..1.3).contains(&sun(minute("2026-06-21T12:30:00Z"))));
    }
}
