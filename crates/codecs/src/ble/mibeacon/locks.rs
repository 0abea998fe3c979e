//! Object 0x000B of MiBeacon: an operation of a door's lock.

use super::super::readings::Readings;
use super::super::{BleProblem, Bytes};

/// By the low half of the first byte: whether the lock is open now, and what was done.
const ACTIONS: [(Option<bool>, &str); 12] = [
    (Some(true), "unlock_outside"),
    (Some(false), "lock"),
    (None, "anti_lock_on"),
    (None, "anti_lock_off"),
    (Some(true), "unlock_inside"),
    (Some(false), "lock_inside"),
    (None, "child_lock_on"),
    (None, "child_lock_off"),
    (Some(false), "lock_outside"),
    (None, "unknown"),
    (Some(true), "unlock_handle"),
    (Some(false), "abnormal"),
];

/// By the high half.
const METHODS: [&str; 12] = [
    "bluetooth",
    "password",
    "biometrics",
    "key",
    "turntable",
    "nfc",
    "one_time_password",
    "two_step_verification",
    "",
    "homekit",
    "coercion",
    "manual",
];

/// `lock` is 1 while the bolt is open, as BTHome and Home Assistant count it.
pub(super) fn action(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = data.at_least(9)?;
    let first = usize::from(data.u8(0)?);
    let Some((open, what)) = ACTIONS.get(first & 0x0f) else { return Ok(()) };
    if let Some(open) = open {
        out.state("lock", *open);
    }
    out.event("", what);
    out.note("method", METHODS.get(first >> 4).copied());
    out.note("key", data.u32(1)?);
    Ok(())
}
