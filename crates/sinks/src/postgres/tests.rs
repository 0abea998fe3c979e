//! Addresses, rows and statements; the whole sink is tested against a server in tests/test_sink_postgres.py.

use std::time::Duration;

use gateway_core::{Detail, Summary, TimeQuality, Timestamp, Window};
use record::{Aggregate, Metric, Record, Subject};

use super::rows::{self, Column};
use super::*;

fn table(more: &serde_json::Value) -> Config {
    let mut table = serde_json::json!({ "url": "postgres://db:5433/building" });
    let keys = more.as_object().unwrap().clone();
    table.as_object_mut().unwrap().extend(keys);
    serde_json::from_value(table).unwrap()
}

fn refused(url: &str) -> String {
    server::parse(&table(&serde_json::json!({ "url": url }))).unwrap_err()
}

#[test]
fn an_address_that_cannot_be_is_refused_and_its_secrets_are_not_shown() {
    for url in [
        "postgres://u:geheim@db/b",
        "postgres://db/b?password=geheim",
        "postgres://db/b?user=u&password=geheim",
    ] {
        let why = refused(url);
        assert!(why.contains("credentials do not belong") && !why.contains("geheim"), "{why}");
    }
    assert!(refused("mysql://db/b").contains("postgres://"));
    assert!(refused("host=db dbname=b").contains("postgres://"));
    assert!(refused("postgres:///b").contains("no host"));
    assert!(refused("postgres://db").contains("no database"));
    assert!(refused("postgres://db/b?sslmode=verify-full").contains("sslmode"));
    assert!(refused("postgres://db:x/b").contains("port"));
}

#[test]
fn a_connection_is_encrypted_where_it_is_asked_for() {
    use tokio_postgres::config::SslMode;
    let mode = |more| server::parse(&table(&more)).unwrap().get_ssl_mode();
    assert_eq!(mode(serde_json::json!({})), SslMode::Disable);
    assert_eq!(mode(serde_json::json!({ "ca_file": "ca.pem" })), SslMode::Require);
    assert_eq!(mode(serde_json::json!({ "url": "postgres://db/b?sslmode=require" })), SslMode::Require);
}

fn aggregate(subject: Subject, revision: u32) -> Item {
    let start = Timestamp::from_millis(1_000);
    let summary = Summary {
        avg: f64::from(revision),
        min: 1.0,
        max: 2.0,
        std: 0.5,
        count: 3,
        percentiles: vec![],
        detail: Detail::Gauge { first: 1.0, last: 2.0 },
    };
    let metric = |name: &str| Metric { name: name.to_owned(), unit: None, summary: summary.clone() };
    let record = Record::Aggregate(Aggregate {
        gateway: "hq".to_owned(),
        subject,
        window: Window { start, end: start + Duration::from_secs(5) },
        metrics: vec![metric("temperature"), metric("humidity")],
        revision,
        late: 1,
        time_quality: TimeQuality::Synced,
    });
    Item { lane: Lane::Aggregates, number: 1, record, bytes: 9 }
}

fn device(name: &str) -> Subject {
    Subject::Device { name: name.to_owned(), zone: None, protocol: None }
}

fn texts(column: &Column<'_>) -> Vec<String> {
    let Column::Text(values) = column else { panic!("{column:?}") };
    values.iter().map(|value| value.as_deref().unwrap_or("NULL").to_owned()).collect()
}

#[test]
fn of_several_revisions_in_a_batch_only_the_highest_is_written() {
    let batch = [0, 2, 1].map(|revision| aggregate(device("lounge"), revision));
    let rows = rows::of(Lane::Aggregates, &batch);
    assert_eq!(rows.len(), 14);
    assert_eq!(texts(&rows[4]), ["temperature", "humidity"]);
    assert_eq!(rows[5], Column::Integer(vec![1_000; 2]));
    assert_eq!(rows[6], Column::Integer(vec![5_000; 2]));
    assert_eq!(rows[12], Column::Integer(vec![2; 2]));
}

#[test]
fn a_zone_and_a_device_with_its_name_have_rows_of_their_own() {
    let zone = aggregate(Subject::Zone { name: "x".to_owned() }, 0);
    let batch = [aggregate(device("zones/x"), 0), zone];
    let rows = rows::of(Lane::Aggregates, &batch);
    assert_eq!(texts(&rows[1]), ["zones%2Fx", "zones%2Fx", "zones/x", "zones/x"]);
    assert_eq!(texts(&rows[2]), ["NULL", "NULL", "x", "x"]);
}

#[test]
fn names_of_schemas_are_quoted() {
    assert_eq!(tables::quoted("a\"b"), "\"a\"\"b\"");
    let sql = tables::migrate("it's", 0, true);
    assert!(
        sql.contains("'\"it''s\".readings'") && sql.contains("CREATE TABLE \"it's\".migrations"),
        "{sql}"
    );
    assert_eq!(tables::migrate("riser", tables::version(), true), "");
}
