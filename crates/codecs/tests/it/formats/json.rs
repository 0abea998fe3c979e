use codecs::{DecodeError, MAX_PAYLOAD_BYTES, MAX_READINGS};
use gateway_core::DropReason;

use crate::formats::support::{Message, named};

fn json(payload: &str) -> Message<'_> {
    Message { codec: "json", payload, ..Message::default() }
}

#[test]
fn numbers_and_booleans_are_metrics_and_nested_names_are_joined() {
    let payload = r#"{"temperature":21.5,"door":{"open":true,"lock":{"engaged":false}},"n":-3,"big":18446744073709551615,
        "name":"x","none":null,"list":[1,{"a":2}]}"#;
    assert_eq!(
        json(payload).metrics(),
        named(&[
            ("temperature", 21.5),
            ("door.open", 1.0),
            ("door.lock.engaged", 0.0),
            ("n", -3.0),
            ("big", 18_446_744_073_709_551_615.0),
        ])
    );
}

#[test]
fn the_event_time_is_read_in_each_of_its_forms() {
    let expected = 1_795_168_800_250;
    for time in [
        r#""2026-11-20T10:00:00.250Z""#,
        r#""2026-11-20T11:00:00.250+01:00""#,
        r#""2026-11-20 10:00:00.25Z""#,
        r#""2026-11-20T11:00:00.250""#, // Paris
        "1795168800.25",
        "1795168800250",
        r#""1795168800250""#,
    ] {
        for key in ["time", "timestamp", "ts"] {
            let payload = format!(r#"{{"a":1,"{key}":{time},"b":2}}"#);
            let found = json(&payload).found();
            assert_eq!(found.len(), 2, "{payload}");
            assert!(found.iter().all(|it| it.at == Some(expected)), "{payload}: {found:?}");
        }
    }
}

#[test]
fn the_first_of_several_times_counts_whatever_their_order() {
    for payload in [r#"{"ts":1,"time":2,"timestamp":3,"a":1}"#, r#"{"time":2,"ts":1,"a":1,"timestamp":3}"#] {
        assert_eq!(json(payload).found()[0].at, Some(2000), "{payload}");
    }
}

#[test]
fn a_time_inside_an_object_is_a_metric_like_any_other() {
    assert_eq!(json(r#"{"run":{"time":5}}"#).metrics(), named(&[("run.time", 5.0)]));
    assert_eq!(json(r#"{"run":{"time":5}}"#).found()[0].at, None);
}

#[test]
fn a_time_that_is_none_refuses_the_payload_and_null_does_not() {
    for time in [r#""yesterday""#, "true", "1e300"] {
        let payload = format!(r#"{{"a":1,"time":{time}}}"#);
        assert!(matches!(json(&payload).error(), DecodeError::BadTime { record: 1 }), "{payload}");
    }
    assert_eq!(json(r#"{"a":1,"time":null}"#).found()[0].at, None);
}

#[test]
fn an_array_of_objects_holds_records_with_their_own_times() {
    let found = json(r#"[{"ts":1,"a":1},{"a":2},{"ts":3,"a":3}]"#).found();
    let times: Vec<_> = found.iter().map(|it| (it.value, it.at)).collect();
    assert_eq!(times, [(1.0, Some(1000)), (2.0, None), (3.0, Some(3000))]);
}

#[test]
fn of_two_equal_names_the_last_one_counts() {
    assert_eq!(json(r#"{"a":1,"b":2,"a":3}"#).metrics(), named(&[("a", 3.0), ("b", 2.0)]));
}

#[test]
fn a_metric_of_the_topic_names_a_bare_value_and_the_objects_value() {
    let with = |payload| Message { metric: Some("temperature"), ..json(payload) };
    assert_eq!(with("21.5").metrics(), named(&[("temperature", 21.5)]));
    assert_eq!(with("true").metrics(), named(&[("temperature", 1.0)]));
    let found = with(r#"{"value":21.5,"time":5,"battery":80}"#);
    assert_eq!(found.metrics(), named(&[("temperature", 21.5), ("temperature.battery", 80.0)]));
    assert_eq!(found.found()[0].at, Some(5000));
    assert!(matches!(json("21.5").error(), DecodeError::Shape { .. }));
}

#[test]
fn what_is_no_object_is_refused() {
    for payload in ["", " ", "null", "\"x\"", "[1]", "[[]]", "{", "{}{}", "{\"a\":1,}", "{'a':1}"] {
        assert_eq!(json(payload).error().reason(), DropReason::BadPayload, "{payload}");
    }
    assert!(json("{}").found().is_empty());
}

#[test]
fn an_error_says_where() {
    let error = json("{\"a\":1,\n \"b\":x}").error();
    assert_eq!(error.to_string(), "not JSON at line 2 column 6");
}

#[test]
fn numbers_that_are_none_are_refused_as_not_finite() {
    for payload in [
        r#"{"a":1e999}"#,
        r#"{"b":1,"a":NaN}"#,
        r#"{"a":Infinity}"#,
        "{\"b\":2,\n\"a\": -Infinity}",
        r#"{"a":nan}"#,
        r#"{"a":[NaN]}"#,
    ] {
        assert_eq!(json(payload).error().reason(), DropReason::NotFinite, "{payload}");
    }
    assert_eq!(json(r#"{"a":nope}"#).error().reason(), DropReason::BadPayload);
}

#[test]
fn deep_nesting_is_refused_before_the_stack_feels_it() {
    let deep = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert_eq!(json(&deep(32)).found().len(), 1);
    assert!(matches!(json(&deep(33)).error(), DecodeError::TooDeep { most: 32 }));
    assert!(matches!(json(&deep(40_000)).error(), DecodeError::TooDeep { .. }));
    let arrays = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(json(&arrays).found().is_empty(), "arrays are passed over without recursion");
}

#[test]
fn a_payload_beyond_the_bounds_is_refused_under_its_reason() {
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_PAYLOAD_BYTES));
    assert_eq!(json(&large).error().reason(), DropReason::TooLarge);
    let members = |n: usize| (0..n).map(|i| format!(r#""m{i}":1"#)).collect::<Vec<_>>().join(",");
    assert_eq!(json(&format!("{{{}}}", members(MAX_READINGS))).found().len(), MAX_READINGS);
    let error = json(&format!("{{{}}}", members(MAX_READINGS + 1))).error();
    assert_eq!(error.reason(), DropReason::TooManyReadings);
    let again = r#""a":1,"#.repeat(MAX_READINGS);
    assert_eq!(json(&format!("{{{again}\"a\":1}}")).error().reason(), DropReason::TooManyReadings);
    let name = |bytes| format!(r#"{{"{}":1}}"#, "n".repeat(bytes));
    assert_eq!(json(&name(128)).found().len(), 1);
    assert!(matches!(json(&name(129)).error(), DecodeError::NameTooLong { .. }));
    assert!(matches!(json(r#"{"":1}"#).error(), DecodeError::NoName { .. }));
}

#[test]
fn broken_text_is_refused_even_where_nothing_is_read_of_it() {
    let (out, result) = json("").decode_bytes(b"{\"a\":1,\"b\":[\"\xff\"]}");
    assert!(matches!(result, Err(DecodeError::NotText { at: 13 })), "{result:?}");
    assert!(out.is_empty());
}

#[test]
fn cbor_says_the_same_as_json() {
    // {"t": 21.5, 1: true, "in": {"a": -2}, "list": [1], "time": 1795168800, "d": 4([-2, 2150])}
    let payload = b"\xa6\x61t\xf9\x4d\x60\x01\xf5\x62in\xa1\x61a\x21\x64list\x81\x01\
        \x64time\x1a\x6b\x00\x1b\x20\x61d\xc4\x82\x21\x19\x08\x66";
    let message = Message { codec: "cbor", ..Message::default() };
    let (out, result) = message.decode_bytes(payload);
    result.unwrap();
    let found: Vec<_> = out.iter().map(|it| (it.metric, it.value)).collect();
    assert_eq!(found, [("t", 21.5), ("1", 1.0), ("in.a", -2.0), ("d", 21.5)]);
    assert!(out.iter().all(|it| it.at.is_some_and(|at| at.as_millis() == 1_795_169_056_000)), "{out:?}");
}

#[test]
fn cbor_counts_what_is_not_finite_and_keeps_the_rest() {
    // {"a": NaN, "b": 1}
    let message = Message { codec: "cbor", ..Message::default() };
    let (out, result) = message.decode_bytes(b"\xa2\x61a\xf9\x7e\x00\x61b\x01");
    result.unwrap();
    assert_eq!((out.len(), out.not_finite()), (1, 1));
    let cut_off = message.decode_bytes(b"\xa1\x61").1.unwrap_err();
    assert_eq!(cut_off.to_string(), "not CBOR: cut off");
    assert!(message.decode_bytes(b"\xa0\x00").1.is_err(), "bytes after the item");
    assert!(matches!(message.decode_bytes(&[0x81; 5000]).1, Err(DecodeError::TooDeep { .. })));
}

#[test]
fn data_is_the_parsed_payload() {
    assert_eq!(json(r#"{"a":[1,"x"],"time":null}"#).data().to_string(), r#"{"a":[1,"x"],"time":null}"#);
}
