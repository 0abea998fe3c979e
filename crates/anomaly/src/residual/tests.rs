//! What [`super`] is for.

use gateway_core::Timestamp;

use super::*;

fn at(n: i64) -> Moment {
    Moment::utc(Timestamp::from_millis(n * 300_000))
}

#[test]
fn a_ramp_is_foreseen_and_its_break_is_not() {
    let mut residual = Residual::new(288);
    let value = |n: i64| f64::from(u16::try_from(n % 48).unwrap()) / 48.0;
    (0..24 * 288).for_each(|n| {
        residual.observe(at(n), value(n));
    });
    let mut broken = residual.clone();
    let goes_on: Vec<f64> = (24 * 288..24 * 288 + 20).map(|n| residual.observe(at(n), value(n))[0]).collect();
    let breaks = broken.observe(at(24 * 288), 3.0)[0];
    assert!(goes_on[19] < 2.0 && breaks > 4.0 * goes_on[19], "{goes_on:?} {breaks}");
}
