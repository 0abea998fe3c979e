use codecs::DecodeError;

use crate::formats::support::{Message, named};

fn state(payload: &str) -> Message<'_> {
    Message {
        codec: "zigbee2mqtt",
        payload,
        topic: "zigbee2mqtt/lounge",
        device: Some("lounge"),
        ..Message::default()
    }
}

#[test]
fn numbers_booleans_and_two_valued_texts_are_metrics() {
    let payload = r#"{"temperature":21.5,"contact":false,"occupancy":true,"state":"ON","state_l2":"OFF",
        "child_lock":"LOCK","window_open":"CLOSE","night_mode":"enable","color":{"x":0.3,"y":0.4},
        "color_mode":"xy","update":{"state":"idle","installed_version":5},"update_available":false,
        "device":{"networkAddress":7},"action":"","last_seen":null,"power":null}"#;
    assert_eq!(
        state(payload).metrics(),
        named(&[
            ("temperature", 21.5),
            ("contact", 0.0),
            ("occupancy", 1.0),
            ("state", 1.0),
            ("state_l2", 0.0),
            ("child_lock", 1.0),
            ("window_open", 0.0),
            ("night_mode", 1.0),
            ("color.x", 0.3),
            ("color.y", 0.4),
        ])
    );
}

#[test]
fn one_of_many_values_is_no_metric_even_where_it_is_called_off() {
    let payload = r#"{"system_mode":"off","fan_mode":"on","power_on_behavior":"off","action":"on",
        "alarm_state":"normal","preset":"manual","lock_state":"not_fully_locked"}"#;
    assert!(state(payload).found().is_empty());
}

#[test]
fn last_seen_is_the_event_time_in_each_of_its_forms() {
    for last_seen in [r#""2026-11-20T10:00:00.000Z""#, r#""2026-11-20T11:00:00+01:00""#, "1795168800000"] {
        let payload = format!(r#"{{"last_seen":{last_seen},"humidity":40}}"#);
        let found = state(&payload).found();
        assert_eq!((found.len(), found[0].at), (1, Some(1_795_168_800_000)), "{payload}");
    }
    assert!(matches!(state(r#"{"last_seen":"soon"}"#).error(), DecodeError::BadTime { .. }));
}

#[test]
fn a_batterys_voltage_keeps_its_millivolts_and_says_so() {
    let unit = |payload| state(payload).found()[0].unit.clone();
    assert_eq!(unit(r#"{"voltage":3005}"#).as_deref(), Some("mV"));
    assert_eq!(unit(r#"{"voltage":231.4}"#), None, "volts, by its name");
}

#[test]
fn availability_is_read_in_both_its_forms() {
    for (payload, value) in
        [("online", 1.0), ("offline", 0.0), (r#"{"state":"online"}"#, 1.0), (r#"{"state":"offline"}"#, 0.0)]
    {
        let message = Message { topic: "zigbee2mqtt/kitchen/lamp/availability", ..state(payload) };
        assert_eq!(message.metrics(), named(&[("availability", value)]), "{payload}");
    }
    let odd = Message { topic: "zigbee2mqtt/lamp/availability", ..state("maybe") };
    assert!(matches!(odd.error(), DecodeError::Shape { .. }));
}

#[test]
fn a_bare_attribute_needs_the_topics_metric() {
    let message = Message { metric: Some("temperature"), ..state("21.5") };
    assert_eq!(message.metrics(), named(&[("temperature", 21.5)]));
    assert!(matches!(state("21.5").error(), DecodeError::Shape { .. }));
    assert!(matches!(state("[1]").error(), DecodeError::Shape { .. }));
}
