//! What [`super`] is for.

use gateway_core::Timestamp;

use super::*;

fn at(minute: i64) -> Moment {
    Moment::utc(Timestamp::from_millis(minute * 60_000))
}

/// 0.2 by night, 0.8 from 8 to 20, for 20 days of five minutes.
fn days() -> Density {
    let mut density = Density::default();
    for minute in (0..20 * 1440).step_by(5) {
        let day = (480..1200).contains(&(minute % 1440));
        density.observe(at(minute), if day { 0.8 } else { 0.2 });
    }
    density
}

#[test]
fn what_is_ordinary_at_noon_is_rare_at_night() {
    let surprise = |minute: i64| {
        let mut density = days();
        (0..10).map(|n| density.observe(at(20 * 1440 + minute + n), 0.8)).last().unwrap()
    };
    let (noon, night) = (surprise(720), surprise(120));
    assert!(noon < 1.5 && night > 3.0 * noon, "{noon} {night}");
}

#[test]
fn the_usual_range_is_that_of_the_hour() {
    let density = days();
    let (low, high) = density.usual(at(120)).unwrap();
    assert!((low..=high).contains(&0.2) && high < 0.8, "{low} {high}");
    assert_eq!(Density::default().usual(at(0)), None);
}
