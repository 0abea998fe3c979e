//! The daily profile of a building: people come at eight and leave at six, except at weekends; the afternoon is warm.
//! Local time is taken as UTC.

use std::f64::consts::TAU;

use gateway_core::Timestamp;

const DAY_MILLIS: i64 = 86_400_000;

/// Hour of the day, 0..24.
pub(crate) fn hour(at: Timestamp) -> f64 {
    let millis = at.as_millis().rem_euclid(DAY_MILLIS);
    #[expect(clippy::cast_precision_loss, reason = "a day of milliseconds is exact in f64")]
    let millis = millis as f64;
    millis / 3_600_000.0
}

/// Saturday and Sunday; 1970-01-01 was a Thursday.
pub(crate) fn is_weekend(at: Timestamp) -> bool {
    matches!(at.as_millis().div_euclid(DAY_MILLIS).rem_euclid(7), 2 | 3)
}

/// How busy the building is: 0 at night, 1 at its height, a tenth of that at weekends.
pub(crate) fn activity(at: Timestamp) -> f64 {
    let hour = hour(at);
    let arrived = 1.0 / (1.0 + (-(hour - 8.5) * 2.5).exp());
    let left = 1.0 / (1.0 + (-(hour - 17.5) * 2.5).exp());
    let busy = (arrived - left).clamp(0.0, 1.0);
    if is_weekend(at) { busy / 10.0 } else { busy }
}

/// -1 in the coldest hour (3), 1 in the warmest (15).
pub(crate) fn warmth(at: Timestamp) -> f64 {
    -((hour(at) - 3.0) / 24.0 * TAU).cos()
}

/// 0 in the dark, 1 at noon.
pub(crate) fn daylight(at: Timestamp) -> f64 {
    ((hour(at) - 6.0) / 12.0 * std::f64::consts::PI).sin().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_work_by_day_and_not_at_weekends() {
        let activity = |text: &str| activity(text.parse().unwrap());
        assert!(activity("2026-11-20T12:00:00Z") > 0.9, "a Friday");
        assert!(activity("2026-11-20T03:00:00Z") < 0.01);
        assert!(activity("2026-11-21T12:00:00Z") < 0.11, "a Saturday");
        assert!(activity("2026-11-22T12:00:00Z") < 0.11, "a Sunday");
        assert!(activity("2026-11-23T12:00:00Z") > 0.9);
    }

    #[test]
    fn afternoons_are_warm_and_nights_dark() {
        let at = |text: &str| text.parse().unwrap();
        assert!(warmth(at("2026-11-20T15:00:00Z")) > 0.99);
        assert!(warmth(at("2026-11-20T03:00:00Z")) < -0.99);
        assert!(daylight(at("2026-11-20T23:00:00Z")) <= 0.0);
        assert!(daylight(at("2026-11-20T12:00:00Z")) > 0.99);
    }
}
