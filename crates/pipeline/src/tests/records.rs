//! The JSON that the cloud reads, to the letter.

use super::{Fixture, TEN, at, uplink};
use crate::deliver::records::{self, Identity};

fn identity() -> Identity {
    Identity { id: "hq-north".to_owned(), prefix: "building".to_owned() }
}

#[test]
fn an_aggregate_carries_what_the_interface_promises() {
    let mut fixture = Fixture::new();
    fixture.tick(vec![uplink("lounge", r#"{"temperature":21.0}"#, at(0))], at(0));
    fixture.tick(vec![uplink("lounge", r#"{"temperature":22.0}"#, at(5000))], at(5000));
    let outputs = fixture.tick(Vec::new(), at(11_000));
    let record = records::aggregate(&outputs.aggregates[0].aggregate, fixture.engine.registry(), &identity());
    let json = String::from_utf8(record.to_json(Some(4711))).unwrap();
    let expected = format!(
        concat!(
            r#"{{"id":"hq-north/lounge/{}/10000","gateway":"hq-north","seq":4711,"device":"lounge","#,
            r#""zone":"floor-1/lounge","protocol":"mqtt","#,
            r#""window":{{"start":"2026-11-20T10:00:00.000Z","end":"2026-11-20T10:00:10.000Z"}},"#,
            r#""metrics":{{"temperature":{{"avg":21.5,"min":21.0,"max":22.0,"std":0.5,"count":2,"#,
            r#""first":21.0,"last":22.0,"unit":"Cel"}}}},"revision":0,"late":0,"time_quality":"synced"}}"#
        ),
        TEN
    );
    assert_eq!(json, expected);
}

#[test]
fn an_alert_leaves_with_the_reading_that_raised_it() {
    let mut fixture = Fixture::new();
    let outputs = fixture.tick(vec![uplink("a/b", r#"{"temperature":41.2}"#, at(0))], at(0));
    assert!(outputs.aggregates.is_empty());
    let record = records::alert(&outputs.alerts[0], fixture.engine.registry(), &identity());
    let json: serde_json::Value = serde_json::from_slice(&record.to_json(Some(1))).unwrap();
    for (key, value) in [
        ("gateway", "hq-north"),
        ("device", "a/b"),
        ("metric", "temperature"),
        ("alert", "too-hot"),
        ("kind", "threshold"),
        ("state", "raised"),
        ("severity", "critical"),
        ("time", "2026-11-20T10:00:00.000Z"),
        ("message", "temperature 41.2 is above 40"),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!(json["value"], 41.2);
    assert_eq!(json["seq"], 1);
}

#[test]
fn an_anomaly_tells_its_detector_and_what_was_expected() {
    let mut fixture = Fixture::new();
    fixture.tick(vec![uplink("lounge", r#"{"temperature":21.0}"#, at(0))], at(0));
    let mut alert = gateway_core::Alert {
        rule: "anomaly".into(),
        device: gateway_core::DeviceId(0),
        metric: None,
        kind: gateway_core::AlertKind::Anomaly,
        state: gateway_core::AlertState::Raised,
        severity: gateway_core::Severity::Warning,
        value: Some(31.2),
        score: Some(0.75),
        anomaly_kind: Some(gateway_core::AnomalyKind::Profile),
        expected: Some((20.5, 22.5)),
        since: at(0).at,
        at: at(0).at,
        message: "odd".to_owned(),
        limit: None,
        notice: None,
    };
    let json = |alert: &gateway_core::Alert| -> serde_json::Value {
        let record = records::alert(alert, fixture.engine.registry(), &identity());
        serde_json::from_slice(&record.to_json(Some(1))).unwrap()
    };
    let payload = json(&alert);
    assert_eq!((&payload["score"], &payload["detector"]), (&0.75.into(), &"profile".into()));
    assert_eq!(payload["expected"], serde_json::json!([20.5, 22.5]));
    assert_eq!(payload.get("metric"), None);

    alert.expected = Some((f64::NEG_INFINITY, 22.5));
    assert_eq!(json(&alert).get("expected"), None, "JSON has no infinity");
    alert.anomaly_kind = None;
    assert_eq!(json(&alert).get("detector"), None);
}
