use super::*;

const MINUTE: u64 = 60_000;

/// One that has seen steps of up to 0.2.
fn learnt() -> Leap {
    let mut leap = Leap::default();
    for n in 0..400_u32 {
        let value = 21.0 + 0.1 * f64::from(n % 3);
        assert!(leap.observe(value, 5 * MINUTE, 0.1) < 1.0);
    }
    leap
}

#[test]
fn a_step_far_larger_than_any_before_is_a_leap_and_staying_there_is_none() {
    let mut leap = learnt();
    assert!(leap.observe(24.0, 5 * MINUTE, 0.1) >= 1.0);
    assert!(leap.observe(24.1, 5 * MINUTE, 0.1) < 1.0);
}

#[test]
fn a_leap_back_of_the_same_size_is_less_of_one() {
    let mut leap = learnt();
    let there = leap.observe(24.0, 5 * MINUTE, 0.1);
    let back = leap.observe(21.0, 5 * MINUTE, 0.1);
    assert!(back < there, "{back} {there}");
}

#[test]
fn a_step_over_a_gap_is_none() {
    assert!(learnt().observe(24.0, LONGEST_STEP_MILLIS, 0.1) < 1.0);
}

#[test]
fn a_few_steps_of_a_coarse_sensor_are_none() {
    let mut leap = Leap::default();
    for _ in 0..400 {
        leap.observe(21.0, 5 * MINUTE, 0.5);
    }
    assert!(leap.observe(23.0, 5 * MINUTE, 0.5) < 1.0);
    assert!(Leap::default().observe(1e9, MINUTE, 0.0) < 1.0, "the first says nothing");
}
