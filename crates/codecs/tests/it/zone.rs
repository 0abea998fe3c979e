//! A codec's dates are in UTC, wherever the gateway stands: each zone is tried in a process of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

use std::process::Command;

use codecs::javascript::{Call, Engine, Script};
use serde_json::{Value, json};

/// Set in the processes that the test starts.
const WITHIN: &str = "RISER_TEST_ZONE";

/// An expression, and what Node says to it with `TZ=UTC`.
fn expected() -> Vec<(&'static str, Value)> {
    vec![
        ("new Date(2026, 6, 1, 12, 30).toISOString()", json!("2026-07-01T12:30:00.000Z")),
        ("new Date('2026-07-01T12:30:00').getTime()", json!(1_782_909_000_000_i64)),
        ("new Date('2026-03-29T02:30:00').getHours()", json!(2)),
        ("new Date('2026-07-01').getTime()", json!(1_782_864_000_000_i64)),
        ("new Date('2026-07-01T12:30:00+02:00').getHours()", json!(10)),
        ("new Date('2026-07-01T12:30:00Z').getDate()", json!(1)),
        ("new Date('2026-07-01 12:30:00').toISOString()", json!("2026-07-01T12:30:00.000Z")),
        ("new Date('July 1, 2026 12:30:00').toISOString()", json!("2026-07-01T12:30:00.000Z")),
        ("new Date('Wed, 01 Jul 2026 12:30:00 GMT').toISOString()", json!("2026-07-01T12:30:00.000Z")),
        ("new Date('7/1/2026').toISOString()", json!("2026-07-01T00:00:00.000Z")),
        ("Date.parse('2026-07-01T12:30:00')", json!(1_782_909_000_000_i64)),
        ("Date.UTC(2026, 6, 1)", json!(1_782_864_000_000_i64)),
        ("new Date(1782909000000).getTimezoneOffset()", json!(0)),
        (
            "new Date(1782909000000).toString()",
            json!("Wed Jul 01 2026 12:30:00 GMT+0000 (Coordinated Universal Time)"),
        ),
        ("new Date(1782909000000).toDateString()", json!("Wed Jul 01 2026")),
        ("new Date(1782909000000).toTimeString()", json!("12:30:00 GMT+0000 (Coordinated Universal Time)")),
        ("new Date(1782909000000).toLocaleString()", json!("7/1/2026, 12:30:00 PM")),
        ("new Date(1782864000000).toLocaleTimeString()", json!("12:00:00 AM")),
        ("new Date(1782909000000).toLocaleDateString()", json!("7/1/2026")),
        (
            "'' + new Date(1782909000000)",
            json!("Wed Jul 01 2026 12:30:00 GMT+0000 (Coordinated Universal Time)"),
        ),
        ("new Date(1782909000000).setHours(1)", json!(1_782_869_400_000_i64)),
        ("new Date(NaN).toString() + new Date('x').getTimezoneOffset()", json!("Invalid DateNaN")),
        ("new Date(new Date(5)).getTime()", json!(5)),
        ("new Date(99, 0).getFullYear()", json!(1999)),
        ("new Date(2026, 0).getYear()", json!(126)),
        ("typeof Date()", json!("string")),
        ("new Date() instanceof Date && new Date().constructor === Date && Date.length", json!(7)),
        ("(class Day extends Date { is() { return this.getHours() } }, 1)", json!(1)),
        ("new (class extends Date { hour() { return this.getHours() } })(2026, 0, 1, 5).hour()", json!(5)),
        ("Math.abs(Date.now() - new Date()) < 1000", json!(true)),
        ("JSON.stringify({ d: new Date(0) })", json!("{\"d\":\"1970-01-01T00:00:00.000Z\"}")),
    ]
}

#[test]
fn dates_are_in_utc_in_every_zone() {
    if std::env::var_os(WITHIN).is_some() {
        return check();
    }
    for zone in ["UTC", "America/New_York", "Asia/Kolkata", "Europe/Paris", "Pacific/Apia"] {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "zone::dates_are_in_utc_in_every_zone", "--nocapture"])
            .env("TZ", zone)
            .env(WITHIN, zone)
            .output()
            .unwrap();
        assert!(run.status.success(), "{zone}: {}", String::from_utf8_lossy(&run.stderr));
        assert!(String::from_utf8_lossy(&run.stdout).contains("1 passed"), "{zone}: no test was run");
    }
}

fn check() {
    for (expression, value) in expected() {
        let source = format!("function decodeUplink() {{ return {{ data: {expression} }} }}");
        let script = Script::new("date.js", &source, &Engine::default()).unwrap();
        let call = Call { bytes: &[], port: None, received: "", device: None };
        assert_eq!(script.decode(&call).unwrap().data, value, "{expression}");
    }
}
