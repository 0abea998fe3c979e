use std::time::Duration;

use gateway_core::{TimeQuality, Window};
use record::Subject;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_795_132_800_500);

fn aggregate(device: &str, metrics: Vec<Metric>) -> Record {
    Record::Aggregate(Aggregate {
        gateway: "hq-north".to_owned(),
        subject: Subject::Device {
            name: device.to_owned(),
            zone: Some("floor 1/lounge".to_owned()),
            protocol: Some("mqtt".to_owned()),
        },
        window: Window { start: START, end: START + Duration::from_secs(300) },
        metrics,
        revision: 1,
        late: 2,
        time_quality: TimeQuality::Synced,
    })
}

fn metric(name: &str, unit: Option<&str>, avg: f64, detail: Detail) -> Metric {
    let summary = Summary { avg, min: 21.0, max: 22.0, std: 0.5, count: 30, percentiles: Vec::new(), detail };
    Metric { name: name.to_owned(), unit: unit.map(str::to_owned), summary }
}

fn text(record: &Record) -> String {
    String::from_utf8(pack(record, Some(4711))).unwrap()
}

#[test]
fn an_aggregate_is_a_pack_with_a_record_for_each_number() {
    let gauge = Detail::Gauge { first: 21.0, last: 22.0 };
    let record = aggregate("lounge", vec![metric("temperature", Some("Cel"), 21.5, gauge)]);
    assert_eq!(
        text(&record),
        concat!(
            r#"[{"bn":"hq-north/lounge/","bt":1795132800.5,"n":"temperature/avg","u":"Cel","v":21.5},"#,
            r#"{"n":"temperature/min","u":"Cel","v":21.0},{"n":"temperature/max","u":"Cel","v":22.0},"#,
            r#"{"n":"temperature/std","u":"Cel","v":0.5},{"n":"temperature/count","v":30.0},"#,
            r#"{"n":"temperature/first","u":"Cel","v":21.0},{"n":"temperature/last","u":"Cel","v":22.0},"#,
            r#"{"n":"window","u":"s","v":300.0},{"n":"revision","v":1.0},{"n":"late","v":2.0},"#,
            r#"{"n":"time_quality","vs":"synced"},{"n":"device","vs":"lounge"},{"n":"zone","vs":"floor 1/lounge"},"#,
            r#"{"n":"protocol","vs":"mqtt"},{"n":"id","vs":"hq-north/lounge/1795132800500/300000"},{"n":"seq","v":4711.0}]"#
        )
    );
}

#[test]
fn a_secondary_unit_is_declared() {
    let counter = Detail::Counter { delta: 1.5, rate: 0.005, resets: 0 };
    let record = aggregate("meter", vec![metric("energy", Some("kWh"), 21.5, counter)]);
    assert!(text(&record).starts_with(r#"[{"bver":26,"bn":"hq-north/meter/","#), "{}", text(&record));
}

#[test]
fn a_number_that_is_not_finite_is_left_out() {
    let gauge = Detail::Gauge { first: f64::INFINITY, last: 22.0 };
    let text = text(&aggregate("lounge", vec![metric("temperature", None, f64::NAN, gauge)]));
    assert!(!text.contains("temperature/avg") && !text.contains("temperature/first"), "{text}");
    assert!(
        text.starts_with(r#"[{"bn":"hq-north/lounge/","bt":1795132800.5,"n":"temperature/min""#),
        "{text}"
    );
}

#[test]
fn names_have_only_what_senml_allows() {
    for (name, expected) in [
        ("A4:C1:38:8D:18:B2", "A4:C1:38:8D:18:B2"),
        ("lounge, north", "lounge:2C:20north"),
        ("_x", "0_x"),
        ("é", "0:C3:A9"),
        ("", ""),
    ] {
        assert_eq!(encoded(name), expected);
    }
    let gauge = Detail::Gauge { first: 1.0, last: 1.0 };
    let text = text(&aggregate("raum 1", vec![metric("größe", None, 1.0, gauge)]));
    assert!(text.contains(r#""bn":"hq-north/raum:201/""#), "{text}");
    assert!(
        text.contains(r#""n":"gr:C3:B6:C3:9Fe/min""#) && text.contains(r#"{"n":"device","vs":"raum 1"}"#),
        "{text}"
    );
}
