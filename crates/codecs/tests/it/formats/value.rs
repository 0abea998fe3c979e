use gateway_core::DropReason;

use crate::formats::support::{Message, named};

fn value(payload: &str) -> Message<'_> {
    Message { codec: "value", payload, metric: Some("temperature"), ..Message::default() }
}

#[test]
fn reads_numbers_as_devices_print_them() {
    for (text, number) in
        [("21.5", 21.5), (" -3\r\n", -3.0), ("+1e3", 1000.0), ("\"7\"", 7.0), ("42\0", 42.0), (".5", 0.5)]
    {
        assert_eq!(value(text).metrics(), named(&[("temperature", number)]), "{text:?}");
    }
}

#[test]
fn reads_words_for_two_states_in_any_case() {
    for (text, number) in [("ON", 1.0), ("off", 0.0), ("True", 1.0), ("closed", 0.0), ("online", 1.0)] {
        assert_eq!(value(text).metrics(), named(&[("temperature", number)]), "{text}");
    }
}

#[test]
fn refuses_what_is_not_one_finite_number() {
    for text in ["", "21,5", "21.5 C", "{\"value\":1}", "hello", "1 2"] {
        assert_eq!(value(text).error().reason(), DropReason::BadPayload, "{text}");
    }
    for text in ["NaN", "nan", "inf", "-Infinity", "1e999"] {
        assert_eq!(value(text).error().reason(), DropReason::NotFinite, "{text}");
    }
}

#[test]
fn the_metric_is_the_captured_one_else_the_last_level_that_is_not_the_device() {
    let message = Message { topic: "house/lounge/humidity", ..value("40") };
    assert_eq!(message.metrics(), named(&[("temperature", 40.0)]));
    assert_eq!(Message { metric: None, ..message }.metrics(), named(&[("humidity", 40.0)]));
    let device = Some("humidity");
    assert_eq!(Message { metric: None, device, ..message }.metrics(), named(&[("value", 40.0)]));
    assert_eq!(Message { metric: None, topic: "", ..message }.metrics(), named(&[("value", 40.0)]));
}

#[test]
fn refuses_bytes_that_are_no_text() {
    let (_, result) = value("").decode_bytes(b"21\xff");
    assert_eq!(result.unwrap_err().to_string(), "the payload is not UTF-8 text at byte 2");
}
