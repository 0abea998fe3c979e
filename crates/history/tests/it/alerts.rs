//! Alerts are stored once, and come back newest first, a page at a time.

use std::path::PathBuf;

use gateway_core::Timestamp;
use history::{AlertCursor, AlertQuery, AlertRow, Batch, Store, StoredAlert};
use tempfile::TempDir;

const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_795_168_800_000 + minute * MINUTE)
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    (folder, path)
}

fn alert(device: &str, since: i64, cleared_after: Option<i64>) -> AlertRow {
    let state = if cleared_after.is_some() { "cleared" } else { "raised" };
    AlertRow {
        device: device.into(),
        rule: "too-hot".into(),
        metric: Some("temperature".into()),
        since: at(since),
        at: at(since + cleared_after.unwrap_or(0)),
        is_cleared: cleared_after.is_some(),
        payload: format!(r#"{{"state":"{state}","device":"{device}","since":{since}}}"#).into(),
    }
}

fn store(store: &mut Store, alerts: &[AlertRow]) {
    store.append_batch(&Batch { alerts: alerts.to_vec(), ..Batch::default() }).unwrap();
}

fn query<'a>() -> AlertQuery<'a> {
    AlertQuery { device: None, from: at(0), to: at(1_000), before: None, limit: 100 }
}

fn since(alerts: &[StoredAlert]) -> Vec<i64> {
    alerts.iter().map(|alert| alert.since.millis_after(at(0)) / MINUTE).collect()
}

#[test]
fn an_alert_is_one_entry_with_its_beginning_and_its_end_however_often_they_come() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    for _ in 0..3 {
        store(&mut history, &[alert("lounge", 5, None), alert("lounge", 5, Some(7))]);
    }
    store(&mut history, &[alert("porch", 6, None)]);
    let found = Store::open_read_only(&path).unwrap().alerts(&query()).unwrap();
    assert_eq!(since(&found), [6, 5]);
    let [open, over] = &found[..] else { panic!("{found:?}") };
    assert_eq!((open.cleared_at, &open.cleared), (None, &None));
    assert_eq!(open.raised.as_deref(), Some(r#"{"state":"raised","device":"porch","since":6}"#));
    assert_eq!(
        (over.cleared_at, &*over.rule, over.metric.as_deref()),
        (Some(at(12)), "too-hot", Some("temperature"))
    );
    assert_eq!(over.cleared.as_deref(), Some(r#"{"state":"cleared","device":"lounge","since":5}"#));
}

#[test]
fn what_came_first_is_not_replaced() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    store(&mut history, &[alert("lounge", 5, None)]);
    store(&mut history, &[AlertRow { payload: "{}".into(), ..alert("lounge", 5, None) }]);
    let found = history.alerts(&query()).unwrap();
    assert_eq!(found[0].raised.as_deref(), Some(r#"{"state":"raised","device":"lounge","since":5}"#));
}

#[test]
fn an_end_without_a_beginning_is_an_entry_too() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    store(&mut history, &[alert("lounge", 5, Some(1))]);
    let found = history.alerts(&query()).unwrap();
    assert_eq!((found.len(), &found[0].raised, found[0].cleared_at), (1, &None, Some(at(6))));
}

#[test]
fn pages_follow_one_another_by_cursor_also_where_alerts_begin_at_once() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    let alerts: Vec<_> = (0..40).map(|n| alert(&format!("device-{n}"), n / 4, None)).collect();
    store(&mut history, &alerts);
    let (mut before, mut found) = (None, Vec::new());
    loop {
        let page = history.alerts(&AlertQuery { before, limit: 7, ..query() }).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.cursor.to_string().parse::<AlertCursor>().unwrap());
        found.extend(page);
    }
    let mut expected: Vec<i64> = (0..40).map(|n| n / 4).collect();
    expected.reverse();
    assert_eq!(since(&found), expected);
    let devices: std::collections::BTreeSet<_> = found.iter().map(|alert| &alert.device).collect();
    assert_eq!(devices.len(), 40);
}

#[test]
fn a_device_and_a_time_can_be_asked_for_and_what_is_still_open_belongs_to_every_time_after_it() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    for (device, since, minutes) in
        [("a", 10, Some(5)), ("a", 20, Some(30)), ("a", 30, None), ("b", 40, None)]
    {
        store(&mut history, &[alert(device, since, None)]);
        if minutes.is_some() {
            store(&mut history, &[alert(device, since, minutes)]);
        }
    }
    let found = |device, from, to| {
        since(&history.alerts(&AlertQuery { device, from: at(from), to: at(to), ..query() }).unwrap())
    };
    assert_eq!(found(Some("a"), 0, 100), [30, 20, 10]);
    assert_eq!(found(Some("a"), 40, 100), [30, 20], "the one from 10 to 15 is over");
    assert_eq!(found(None, 60, 100), [40, 30]);
    assert_eq!(found(None, 0, 30), [20, 10]);
    assert!(found(Some("c"), 0, 100).is_empty());
}

#[test]
fn a_text_that_is_no_cursor_is_refused() {
    for text in ["", "-", "5", "a-b", "5-", "99999999999999999999-1"] {
        assert!(text.parse::<AlertCursor>().is_err(), "{text}");
    }
    assert_eq!("-5-3".parse::<AlertCursor>().unwrap().to_string(), "-5-3");
}

#[test]
fn a_payload_with_a_wrong_bit_is_left_out() {
    let (_folder, path) = folder();
    let mut history = Store::open(&path).unwrap();
    store(&mut history, &[alert("lounge", 5, None), alert("lounge", 5, Some(1))]);
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute("UPDATE alerts SET raised = cleared", []).unwrap();
    let found = history.alerts(&query()).unwrap();
    assert_eq!(found[0].raised, None);
    assert!(found[0].cleared.is_some());
}
