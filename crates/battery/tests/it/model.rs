//! Mean currents and years, and what the model refuses.

use battery::{Battery, Error, Load, State};
use proptest::prelude::*;

fn load(states: &[(f64, f64)]) -> Result<Load, Error> {
    Load::new(
        states
            .iter()
            .map(|(milliamps, percent)| State::new("s", *milliamps, *percent))
            .collect::<Result<_, _>>()?,
    )
}

fn near(value: f64, expected: f64, within: f64) {
    assert!((value - expected).abs() <= within, "{value} is not {expected} ± {within}");
}

#[test]
fn the_two_examples_give_what_was_asked_for() {
    let battery = Battery::new(3_000.0).unwrap();
    for (states, milliamps, years) in [
        ([(0.02, 99.7), (80.0, 0.1), (170.0, 0.2)], 0.440, 0.78),
        ([(0.01, 99.9), (50.0, 0.05), (120.0, 0.05)], 0.095, 3.6),
    ] {
        let load = load(&states).unwrap();
        near(load.milliamps(), milliamps, 0.0005);
        near(battery.years(load.milliamps()).unwrap(), years, if years > 1.0 { 0.05 } else { 0.005 });
        near(load.rest(), 0.0, 0.0);
    }
}

#[test]
fn a_state_takes_its_current_for_its_share_of_a_day() {
    let state = State::new("send", 170.0, 0.2).unwrap();
    near(state.mah_a_day(), 8.16, 1e-9);
}

#[test]
fn time_that_no_state_has_draws_nothing() {
    let load = load(&[(10.0, 25.0)]).unwrap();
    near(load.milliamps(), 2.5, 1e-12);
    near(load.rest(), 0.75, 1e-12);
}

#[test]
fn self_discharge_takes_a_share_of_the_capacity_each_year() {
    let battery = Battery::new(8_766.0).unwrap();
    near(battery.years(0.1).unwrap(), 10.0, 1e-9);
    let loses = battery.with_self_discharge(10.0).unwrap();
    near(loses.years(0.1).unwrap(), 5.0, 1e-9);
    near(loses.years(0.0).unwrap(), 10.0, 1e-9);
}

#[test]
fn cold_takes_capacity_and_heat_speeds_up_self_discharge() {
    let battery = Battery::new(1_000.0).unwrap().with_self_discharge(1.0).unwrap();
    for (celsius, usable, lost) in [
        (-40.0, 0.6, 10.0),
        (-30.0, 0.7, 10.0),
        (0.0, 0.92, 10.0),
        (20.0, 1.0, 10.0),
        (40.0, 1.0, 40.0),
        (85.0, 1.0, 905.1),
    ] {
        let battery = battery.at(celsius).unwrap();
        near(battery.usable_share(), usable, 1e-9);
        near(battery.loss_a_year(), lost, 0.05);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(matches!(State::new("s", -1.0, 1.0), Err(Error::Current { .. })));
    assert!(matches!(State::new("s", f64::NAN, 1.0), Err(Error::Current { .. })));
    assert!(matches!(State::new("s", f64::INFINITY, 1.0), Err(Error::Current { .. })));
    for percent in [-0.1, 100.1, f64::NAN] {
        assert!(matches!(State::new("s", 1.0, percent), Err(Error::Share { .. })), "{percent}");
    }
    assert!(matches!(load(&[(1.0, 60.0), (2.0, 40.1)]), Err(Error::Shares { .. })));
    assert_eq!(load(&[]), Err(Error::NoState));
    for mah in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Battery::new(mah), Err(Error::Capacity(_))), "{mah}");
    }
    let battery = Battery::new(1.0).unwrap();
    for percent in [-1.0, 101.0, f64::NAN] {
        assert!(matches!(battery.with_self_discharge(percent), Err(Error::SelfDischarge(_))), "{percent}");
    }
    for celsius in [-40.1, 85.1, f64::NAN] {
        assert!(matches!(battery.at(celsius), Err(Error::Temperature(_))), "{celsius}");
    }
    assert_eq!(battery.years(0.0), Err(Error::NoDischarge));
    assert!(matches!(battery.years(-1.0), Err(Error::Current { .. })));
}

#[test]
fn what_comes_more_often_takes_its_time_from_the_longest_state() {
    let load = load(&[(80.0, 10.0), (0.0, 90.0)]).unwrap();
    near(load.as_often(2.0).unwrap().milliamps(), 16.0, 1e-9);
    near(load.as_often(0.5).unwrap().milliamps(), 4.0, 1e-9);
    near(load.as_often(10.0).unwrap().milliamps(), 80.0, 1e-9);
    assert_eq!(load.as_often(10.1), None);
    assert_eq!(load.as_often(0.0), None);
    assert_eq!(load.as_often(f64::NAN), None);
}

proptest! {
    #[test]
    fn the_mean_lies_between_the_smallest_and_the_largest_current(
        currents in proptest::collection::vec(0.0..500.0, 1..8),
        parts in proptest::collection::vec(0.01..1.0, 8),
    ) {
        let sum: f64 = parts.iter().take(currents.len()).sum();
        let states: Vec<_> = currents.iter().zip(&parts).map(|(current, part)| (*current, 100.0 * part / sum)).collect();
        let mean = load(&states).unwrap().milliamps();
        let least = currents.iter().copied().fold(f64::INFINITY, f64::min);
        let most = currents.iter().copied().fold(0.0, f64::max);
        prop_assert!(least - 1e-6 <= mean && mean <= most + 1e-6, "{least} {mean} {most}");
    }

    #[test]
    fn more_of_anything_bad_never_makes_it_last_longer(
        mah in 10.0..20_000.0, milliamps in 0.001..100.0, more in 0.0..10.0, percent in 0.0..50.0, celsius in -40.0..20.0,
    ) {
        let battery = Battery::new(mah).unwrap().with_self_discharge(percent).unwrap();
        let years = battery.years(milliamps).unwrap();
        prop_assert!(battery.years(milliamps + more).unwrap() <= years);
        prop_assert!(battery.with_self_discharge(percent + more).unwrap().years(milliamps).unwrap() <= years);
        prop_assert!(battery.at(celsius).unwrap().years(milliamps).unwrap() <= years);
    }
}
