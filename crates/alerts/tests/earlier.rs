//! What a gateway of checkpoint version 2 had raised or pending goes on.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

mod common;

use std::time::Duration;

use alerts::earlier::AlertsV2;
use alerts::{Alerts, Conditions, Rule, RuleSpec};
use common::{HOUR, House, LOUNGE, MINUTE, SECOND, START, messages, odd, rule};
use gateway_core::{AlertState, Oddity, Score};

/// Variants of `Phase` and `Cause` as they were numbered.
const PENDING: u32 = 1;
const RAISED: u32 = 2;
const ANOMALY: u32 = 4;

/// postcard writes no names: a tuple of the fields in order is the struct. Temperature is raised, contact pending.
fn written() -> Vec<u8> {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let waits = RuleSpec { metric: None, hold_for: Duration::from_secs(600), ..rule("odd", when) };
    let rules = vec![Rule::try_from(waits).unwrap()];
    let nothing: Option<()> = None;
    let no_silences: Vec<()> = Vec::new();
    let raised = (RAISED, START, ANOMALY);
    let standing = (0_u32, raised, 0_u8, Some(START), nothing, nothing);
    let temperature =
        (0_u32, true, "temperature", Some(START), Some(START), 0_u8, vec![standing], &no_silences);
    let no_range: Option<(f64, f64)> = None;
    let seen = (21.3_f64, 0.7_f64, no_range, true);
    let pending = (PENDING, (START, START, (ANOMALY, 0.7_f64), seen));
    let standing = (0_u32, pending, 0_u8, None::<i64>, nothing, nothing);
    let contact = (2_u32, true, "contact", Some(START), Some(START), 0_u8, vec![standing], &no_silences);
    // Two of one list with the length before them.
    let device = (true, "", Some(START), &no_silences, (2_u8, temperature, contact));
    let (next_silence, next_due) = (None::<i64>, Some(START + 10 * MINUTE));
    let no_orphans: Vec<()> = Vec::new();
    postcard::to_stdvec(&(rules, (1_u8, device), no_orphans, Some(START), next_silence, next_due)).unwrap()
}

#[test]
fn what_was_raised_and_pending_in_version_2_still_is() {
    let v2: AlertsV2 = postcard::from_bytes(&written()).unwrap();
    let mut house = House { alerts: Alerts::from(v2), now: START };
    let raised: Vec<_> = house.alerts.raised().map(|raised| raised.metric.map(|metric| metric.0)).collect();
    assert_eq!(raised, [Some(0)]);

    house.hear(LOUNGE, "humidity", 50.0, house.now, Score::NONE);
    for _ in 0..2 {
        assert!(house.scored(SECOND, 21.0, Score::NONE).is_empty());
    }
    let cleared = house.scored(SECOND, 21.0, Score::NONE);
    assert_eq!((cleared.len(), cleared[0].state), (1, AlertState::Cleared));
    assert_eq!(cleared[0].since.as_millis(), START);

    let due = house.wait(10 * MINUTE);
    assert_eq!(messages(&due), ["contact has been exactly 21.3 for unusually long (stuck)"]);
    assert_eq!(due[0].at.as_millis(), START + 10 * MINUTE);

    house.scored(HOUR, 30.0, odd(0.9, Oddity::Profile));
    assert_eq!(house.wait(10 * MINUTE).len(), 1, "nothing of it was told before");
}
