//! When an uplink asks for an answer, and what missing answers lead to.

use node_lorawan::{Next, Policy, Rate};

const SINGLE: [u8; 12] = [1; 12];
const BATCH: [u8; 30] = [2; 30];

/// What asks for an answer in so many single reports, if every question is answered.
fn questions(policy: &mut Policy, frames: usize) -> Vec<usize> {
    let mut asked = Vec::new();
    for frame in 0..frames {
        if policy.confirms(&SINGLE) {
            policy.acknowledged();
            asked.push(frame);
        } else {
            policy.sent();
        }
    }
    asked
}

#[test]
fn the_first_and_then_each_eighth_single_report_asks_for_an_answer() {
    assert_eq!(questions(&mut Policy::new(Rate::Dr3), 25), [0, 8, 16, 24]);
}

#[test]
fn a_batch_and_a_long_sealed_frame_always_ask() {
    let mut policy = Policy::new(Rate::Dr3);
    policy.acknowledged();
    assert!(!policy.confirms(&SINGLE));
    assert!(policy.confirms(&BATCH));
    assert!(!policy.confirms(&[3; 40]));
    assert!(policy.confirms(&[3; 51]));
}

#[test]
fn after_a_missing_answer_the_next_report_asks_again() {
    let mut policy = Policy::new(Rate::Dr3);
    policy.acknowledged();
    assert!(policy.confirms(&BATCH));
    assert_eq!(policy.not_acknowledged(), Next::Again);
    assert!(policy.confirms(&SINGLE));
    policy.acknowledged();
    assert!(!policy.confirms(&SINGLE));
}

#[test]
fn three_missing_answers_lower_the_rate_and_eight_at_the_slowest_end_the_session() {
    let mut policy = Policy::new(Rate::Dr2);
    let mut rates = Vec::new();
    let mut uplinks = 0;
    loop {
        rates.push(policy.rate());
        uplinks += 1;
        if policy.not_acknowledged() == Next::Join {
            break;
        }
        assert!(uplinks < 100, "the session never ends");
    }
    let expected = [(Rate::Dr2, 3), (Rate::Dr1, 3), (Rate::Dr0, 8)];
    assert_eq!(rates, expected.into_iter().flat_map(|(rate, times)| vec![rate; times]).collect::<Vec<_>>());
    assert_eq!(policy.rate(), Rate::Dr2, "the next join begins at the fastest rate");
}

#[test]
fn an_answer_in_between_starts_the_count_anew() {
    let mut policy = Policy::new(Rate::Dr4);
    for _ in 0..5 {
        policy.not_acknowledged();
        policy.not_acknowledged();
        policy.acknowledged();
    }
    assert_eq!(policy.rate(), Rate::Dr4);
}

#[test]
fn joins_go_through_all_rates_and_begin_again() {
    let mut policy = Policy::new(Rate::Dr2);
    let rates: Vec<_> = (0..7)
        .map(|_| {
            policy.not_joined();
            policy.rate()
        })
        .collect();
    use Rate::{Dr0, Dr1, Dr2};
    assert_eq!(rates, [Dr1, Dr0, Dr2, Dr1, Dr0, Dr2, Dr1]);
}

#[test]
fn the_rate_rises_after_many_answers_but_not_above_the_fastest() {
    let mut policy = Policy::new(Rate::Dr2);
    for _ in 0..3 {
        policy.not_acknowledged();
    }
    assert_eq!(policy.rate(), Rate::Dr1);
    for _ in 0..32 {
        policy.acknowledged();
    }
    assert_eq!(policy.rate(), Rate::Dr2);
    for _ in 0..100 {
        policy.acknowledged();
    }
    assert_eq!(policy.rate(), Rate::Dr2);
}

/// The time on air of a LoRa frame in milliseconds, by the formula of Semtech's SX1276 data sheet, section 4.1.1.7: 125 kHz,
/// coding rate 4/5, 8 symbols of preamble, explicit header, checksum.
fn airtime_ms(spreading_factor: u32, bytes: u32) -> f64 {
    let factor = f64::from(spreading_factor);
    let symbol_ms = f64::from(1_u32 << spreading_factor) / 125.0;
    let slow = if spreading_factor >= 11 { 2.0 } else { 0.0 };
    let bits = 8.0 * f64::from(bytes) - 4.0 * factor + 28.0 + 16.0;
    let symbols = 8.0 + ((bits / (4.0 * (factor - slow))).ceil() * 5.0).max(0.0);
    (8.0 + 4.25 + symbols) * symbol_ms
}

#[test]
fn the_pause_keeps_the_duty_cycle_of_one_hundredth_for_the_longest_frame() {
    let rates = [Rate::Dr0, Rate::Dr1, Rate::Dr2, Rate::Dr3, Rate::Dr4, Rate::Dr5];
    for (rate, spreading_factor) in rates.into_iter().zip((7..=12).rev()) {
        // Around the frame: MHDR, FHDR, FPort and MIC (13 bytes), and MAC answers (FOpts, up to 15 bytes).
        let least = airtime_ms(spreading_factor, 51 + 13 + 15) * 99.0 / 1000.0;
        let pause = f64::from(rate.pause_seconds());
        assert!(pause >= least, "SF{spreading_factor}: {pause} s, at least {least} s");
        assert!(pause < least * 1.1, "SF{spreading_factor}: {pause} s is more than needed: {least} s");
    }
}
