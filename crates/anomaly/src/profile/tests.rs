//! What [`super`] is for.

use gateway_core::Timestamp;

use super::*;

/// 1 from 8 to 9 on the local clock, else 0, for a week of five minutes.
fn mornings(utc_offset: i32) -> Profile {
    let mut profile = Profile::default();
    for minute in (0..7 * 1440).step_by(5) {
        let moment = Moment { at: Timestamp::from_millis(minute * 60_000), utc_offset };
        let value = f64::from(u8::from(moment.slot_of_day(24) == 8));
        profile.observe(moment, value, value);
    }
    profile
}

#[test]
fn an_hour_is_measured_by_what_is_usual_then_on_the_local_clock() {
    for utc_offset in [0, 7200, -18_000] {
        let eight = (7 * 86_400 + 8 * 3600 - i64::from(utc_offset)) * 1000;
        let distance = |millis: i64, value: f64| {
            let moment = Moment { at: Timestamp::from_millis(millis), utc_offset };
            mornings(utc_offset).observe(moment, value, value)[0]
        };
        assert!(distance(eight, 1.0) < 0.01 && distance(eight + 3_600_000, 1.0) > 0.99, "{utc_offset}");
    }
}

#[test]
fn an_hour_that_was_never_seen_is_measured_by_the_level() {
    let mut profile = Profile::default();
    (0..10).for_each(|n| {
        profile.observe(Moment::utc(Timestamp::from_millis(n)), 0.5, 0.5);
    });
    let noon = Moment::utc(Timestamp::from_millis(12 * 3_600_000));
    assert_eq!(profile.observe(noon, 0.75, 0.5), [0.25, 0.0]);
}
