use std::time::Duration;

use gateway_core::{AlertKind, AlertState, Detail, Severity, Summary, TimeQuality, Window};
use record::{Aggregate, Alert, Metric};
use serde_json::{Value as Json, json};

use super::*;

fn aggregate(subject: Subject, detail: Detail) -> Record {
    let start = Timestamp::from_millis(1_795_132_800_500);
    let summary = Summary {
        avg: 21.4,
        min: 21.1,
        max: 21.9,
        std: f64::NAN,
        count: 30,
        percentiles: vec![(99.5, 21.8)],
        detail,
    };
    Record::Aggregate(Aggregate {
        gateway: "hq-north".to_owned(),
        subject,
        window: Window { start, end: start + Duration::from_secs(300) },
        metrics: vec![Metric { name: "temperature".to_owned(), unit: Some("Cel".to_owned()), summary }],
        revision: 2,
        late: 1,
        time_quality: TimeQuality::Synced,
    })
}

fn device(name: &str) -> Subject {
    Subject::Device {
        name: name.to_owned(),
        zone: Some("floor-1/lounge".to_owned()),
        protocol: Some("mqtt".to_owned()),
    }
}

fn rows(record: &Record) -> Vec<Json> {
    serde_json::from_slice::<Json>(&pack(record, 4711)).unwrap().as_array().unwrap().clone()
}

#[test]
fn an_aggregate_is_one_pack_with_a_base_name_and_time() {
    let rows = rows(&aggregate(device("lounge"), Detail::Gauge { first: 21.0, last: 21.5 }));
    assert_eq!(
        Json::from(rows),
        json!([
            {"bn": "hq-north/lounge/", "bt": 1_795_133_100.5, "n": "aggregate/id",
             "vs": "hq-north/lounge/1795132800500/300000"},
            {"n": "aggregate/seq", "v": 4711},
            {"n": "aggregate/revision", "v": 2},
            {"n": "aggregate/length", "u": "s", "v": 300.0},
            {"n": "aggregate/late", "u": "count", "v": 1},
            {"n": "aggregate/time_quality", "vs": "synced"},
            {"n": "aggregate/zone", "vs": "floor-1/lounge"},
            {"n": "aggregate/protocol", "vs": "mqtt"},
            {"n": "temperature/avg", "u": "Cel", "v": 21.4},
            {"n": "temperature/min", "u": "Cel", "v": 21.1},
            {"n": "temperature/max", "u": "Cel", "v": 21.9},
            {"n": "temperature/count", "u": "count", "v": 30},
            {"n": "temperature/p99.2E5", "u": "Cel", "v": 21.8},
            {"n": "temperature/first", "u": "Cel", "v": 21.0},
            {"n": "temperature/last", "u": "Cel", "v": 21.5},
        ]),
        "and no std, which is no number"
    );
}

#[test]
fn a_pack_with_a_secondary_unit_says_the_version_that_allows_it() {
    let pack_of = |unit: &str| {
        let mut record = aggregate(device("lounge"), Detail::Gauge { first: 21.0, last: 21.5 });
        if let Record::Aggregate(aggregate) = &mut record {
            aggregate.metrics[0].unit = Some(unit.to_owned());
        }
        rows(&record)
    };
    for unit in ["hPa", "ppm", "kWh", "ug/m3", "/100"] {
        let rows = pack_of(unit);
        assert_eq!(rows[0]["bver"], 26, "{unit}");
        assert!(rows.iter().skip(1).all(|row| row.get("bver").is_none()), "once in a pack");
    }
    for unit in ["Cel", "Pa", "%RH", "count", "a unit of our own"] {
        assert_eq!(pack_of(unit)[0].get("bver"), None, "{unit} needs no version above 10");
    }
}

#[test]
fn states_and_counters_have_their_own_values() {
    let names = |detail| {
        let rows = rows(&aggregate(device("lounge"), detail));
        rows.iter().map(|row| row["n"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let state = names(Detail::State { last: 1.0, changes: 2, duration: vec![(0.0, 12.5), (0.5, 47.5)] });
    assert!(state.ends_with(&[
        "temperature/last".to_owned(),
        "temperature/changes".to_owned(),
        "temperature/duration/0".to_owned(),
        "temperature/duration/0.2E5".to_owned(),
    ]));
    let counter = names(Detail::Counter { delta: 5.0, rate: 0.1, resets: 0 });
    assert!(counter.ends_with(&["delta", "rate", "resets"].map(|part| format!("temperature/{part}"))));
}

#[test]
fn an_alert_has_its_texts_as_vs_and_its_value_as_v() {
    let rows = rows(&Record::Alert(Alert {
        gateway: "hq".to_owned(),
        device: "lounge".to_owned(),
        zone: None,
        protocol: None,
        metric: Some("temperature".to_owned()),
        rule: "too hot".to_owned(),
        kind: AlertKind::Threshold,
        state: AlertState::Raised,
        severity: Severity::Warning,
        value: Some(41.2),
        score: None,
        anomaly_kind: None,
        expected: Some((f64::NEG_INFINITY, 30.0)),
        since: Timestamp::from_millis(1_795_132_800_000),
        at: Timestamp::from_millis(1_795_132_801_000),
        message: "temperature 41.2 is above 40".to_owned(),
        limit: None,
        notice: None,
    }));
    assert_eq!(rows[0]["bn"], "hq/lounge/");
    assert_eq!(rows[0]["bt"], 1_795_132_801.0);
    let row = |name: &str| rows.iter().find(|row| row["n"] == format!("alerts/too.20hot/{name}"));
    assert_eq!(row("state").unwrap()["vs"], "raised");
    assert_eq!(row("severity").unwrap()["vs"], "warning");
    assert_eq!(row("message").unwrap()["vs"], "temperature 41.2 is above 40");
    assert_eq!(row("value").unwrap()["v"], 41.2);
    assert_eq!(row("expected_high").unwrap()["v"], 30.0);
    assert_eq!(row("expected_low"), None, "it is not finite");
}

#[test]
fn names_have_only_the_characters_of_senml_and_stay_distinct() {
    let mut names = std::collections::BTreeSet::new();
    let subjects = [
        device("A4:C1:38:8D:18:B2"),
        device("kitchen/lamp"),
        device("kitchen.2Flamp"),
        device("Küche 1.5"),
        device("zones/x"),
        device("zones"),
        Subject::Zone { name: "x".to_owned() },
        Subject::Zone { name: "floor-1/lounge".to_owned() },
    ];
    for subject in subjects {
        let name = base_name(&aggregate(subject, Detail::Gauge { first: 0.0, last: 0.0 }));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:./_".contains(&b)), "{name}");
        assert!(names.insert(name.clone()), "{name} twice");
    }
    assert!(names.contains("hq-north/kitchen.2Flamp/") && names.contains("hq-north/zones/floor-1.2Flounge/"));
    for (gateway, level) in [("x-1", "x-1"), ("-x", "0.2Dx"), ("_", "0.5F"), ("0-x", "0-x"), ("", "0")] {
        assert_eq!(first_level(gateway), level);
    }
}
