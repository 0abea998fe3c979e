//! Bodies and answers; the whole sink is tested against a server in tests/test_sink_http.py.

use gateway_core::Timestamp;
use outbox::Lane;
use record::{Reading, Record};

use super::*;

fn items() -> Vec<Item> {
    let reading = |number: u32| {
        Record::Reading(Reading {
            gateway: "hq".to_owned(),
            device: "lounge".to_owned(),
            zone: None,
            protocol: None,
            time: Timestamp::EPOCH,
            number,
            same_time: false,
            metrics: vec![("temperature".to_owned(), 21.5)],
        })
    };
    let item =
        |number: u32| Item { lane: Lane::Readings, number: number.into(), record: reading(number), bytes: 9 };
    (1..=2).map(item).collect()
}

fn sink(format: Format) -> HttpSink {
    let config: Config = serde_json::from_value(serde_json::json!({ "url": "http://localhost/" })).unwrap();
    HttpSink::new(&Config { format, ..config }).unwrap()
}

#[test]
fn a_body_is_a_line_for_each_record_or_one_array() {
    let lines = sink(Format::Jsonl).body(&items());
    let lines = std::str::from_utf8(&lines).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.ends_with("}\n"));
    let ids = |records: Vec<serde_json::Value>| records.iter().map(|r| r["id"].clone()).collect::<Vec<_>>();
    let of_lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_array = serde_json::from_slice(&sink(Format::Json).body(&items())).unwrap();
    assert_eq!(ids(of_lines), ids(of_array));
}

#[test]
fn the_key_is_that_of_the_bytes() {
    assert_eq!(idempotency_key(b"abc"), "ba7816bf8f01cfea414140de5dae2223", "FIPS 180-4's example");
    assert_ne!(idempotency_key(b"abc"), idempotency_key(b"abd"));
}

#[test]
fn what_the_server_answers_decides_what_is_tried_again() {
    let again = |status: u16| is_tried_again(StatusCode::from_u16(status).unwrap());
    assert!([301, 408, 425, 429, 500, 502, 503, 504, 599].into_iter().all(again));
    assert!(![400, 401, 403, 404, 409, 413, 415, 422].into_iter().any(again));
}
