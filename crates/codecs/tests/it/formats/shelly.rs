use codecs::DecodeError;
use gateway_core::DropReason;

use crate::formats::support::{Message, named};

fn message<'a>(topic: &'a str, payload: &'a str) -> Message<'a> {
    Message { codec: "shelly", payload, topic, ..Message::default() }
}

#[test]
fn a_notification_has_its_own_time_and_channels() {
    let payload = r#"{"src":"shellypro2pm-1","dst":"x/events","method":"NotifyStatus","params":{"ts":1795168800.25,
        "switch:0":{"id":0,"output":true,"apower":61.5,"aenergy":{"total":1500.0,"by_minute":[1,2,3],"minute_ts":5}},
        "switch:1":{"id":1,"output":false,"temperature":{"tC":40.5,"tF":104.9}}}}"#;
    let message = message("shellypro2pm-1/events/rpc", payload);
    assert_eq!(
        message.metrics(),
        named(&[
            ("state", 1.0),
            ("power", 61.5),
            ("energy", 1.5),
            ("state_1", 0.0),
            ("device_temperature_1", 40.5),
        ])
    );
    assert!(message.found().iter().all(|it| it.at == Some(1_795_168_800_250)));
}

#[test]
fn the_topic_names_the_component_of_a_status() {
    let found = |component: &str, payload| message(&format!("hall/status/{component}"), payload).metrics();
    assert_eq!(found("temperature:0", r#"{"id":0,"tC":21.3,"tF":70.3}"#), named(&[("temperature", 21.3)]));
    assert_eq!(found("temperature:100", r#"{"id":100,"tC":5.1}"#), named(&[("temperature_100", 5.1)]));
    assert_eq!(found("humidity:0", r#"{"id":0,"rh":44.5}"#), named(&[("humidity", 44.5)]));
    assert_eq!(found("flood:0", r#"{"id":0,"alarm":true,"mute":false}"#), named(&[("water_leak", 1.0)]));
    assert_eq!(found("input:1", r#"{"id":1,"state":true}"#), named(&[("input_1", 1.0)]));
    assert_eq!(found("cover:0", r#"{"state":"open","current_pos":70}"#), named(&[("position", 70.0)]));
    assert_eq!(found("boolean:200", r#"{"value":true}"#), named(&[("boolean_200", 1.0)]));
    assert_eq!(
        found("devicepower:0", r#"{"id":0,"battery":{"V":5.9,"percent":90},"external":{"present":false}}"#),
        named(&[("battery", 90.0), ("voltage", 5.9), ("external_power", 0.0)])
    );
    assert_eq!(found("sys", r#"{"uptime":60,"cfg_rev":3,"unixtime":5}"#), named(&[("uptime", 60.0)]));
}

#[test]
fn a_three_phase_meter_names_its_phases() {
    let payload =
        r#"{"id":0,"a_voltage":230,"a_current":1,"a_act_power":200,"b_act_power":100,"total_act_power":300}"#;
    assert_eq!(
        message("em/status/em:0", payload).metrics(),
        named(&[
            ("voltage_a", 230.0),
            ("current_a", 1.0),
            ("power_a", 200.0),
            ("power_b", 100.0),
            ("power", 300.0)
        ])
    );
    let payload = r#"{"id":0,"total_act":2500.5,"total_act_ret":100}"#;
    assert_eq!(
        message("em/status/emdata:0", payload).metrics(),
        named(&[("energy", 2.5005), ("produced_energy", 0.1)])
    );
}

#[test]
fn statuses_without_a_topic_and_answers_are_read_too() {
    let full = r#"{"switch:0":{"id":0,"output":true},"sys":{"uptime":5},"wifi":{"rssi":-60},"cloud":{"connected":true}}"#;
    let expected = named(&[("state", 1.0), ("uptime", 5.0), ("rssi", -60.0)]);
    assert_eq!(message("", full).metrics(), expected);
    let answer = format!(r#"{{"id":1,"src":"s","dst":"d","result":{full}}}"#);
    assert_eq!(message("user/rpc", &answer).metrics(), expected);
    assert_eq!(message("", r#"{"id":1,"apower":5}"#).metrics(), named(&[("power_1", 5.0)]));
    let list =
        r#"{"components":[{"key":"bthomesensor:203","status":{"id":203,"value":23.4}},{"key":"sys"}]}"#;
    assert_eq!(message("", list).metrics(), named(&[("bthomesensor_203", 23.4)]));
}

#[test]
fn what_is_no_status_measures_nothing_and_is_no_mistake() {
    for payload in [
        r#"{"method":"NotifyEvent","params":{"ts":1,"events":[{"component":"input:0","event":"single_push"}]}}"#,
        r#"{"id":5,"src":"s","dst":"d","error":{"code":401,"message":"no"}}"#,
        r#"{"id":5,"src":"s","dst":"d","result":null}"#,
        r#"{"name":"Plug","id":"shellyplug-1","mac":"AABB","gen":2}"#,
        r#"{"switch:0":{"id":0,"auto_on_delay":60.0,"power_limit":3000},"sys":{"location":{"lat":41.2}}}"#,
    ] {
        assert!(message("", payload).found().is_empty(), "{payload}");
    }
}

#[test]
fn the_first_generation_says_one_value_a_topic() {
    for (topic, payload, metric, value) in [
        ("shellies/plug-1/relay/0", "on", "state", 1.0),
        ("shellies/plug-1/relay/1", "off", "state_1", 0.0),
        ("shellies/plug-1/relay/0/power", "61.5", "power", 61.5),
        ("shellies/plug-1/relay/0/energy", "120000", "energy", 2.0),
        ("shellies/em-1/emeter/2/total", "1500.0", "energy_2", 1.5),
        ("shellies/ht-1/sensor/temperature", "21.3", "temperature", 21.3),
        ("shellies/plug-1/temperature", "40", "device_temperature", 40.0),
        ("shellies/plug-1/ext_temperature/1", "5", "temperature_1", 5.0),
        ("shellies/door-1/sensor/state", "close", "contact", 1.0),
        ("shellies/flood-1/sensor/flood", "true", "water_leak", 1.0),
        ("shellies/plug-1/online", "false", "availability", 0.0),
        ("site/shellies/plug-1/input/0", "1", "input", 1.0),
    ] {
        let found = message(topic, payload).found();
        assert_eq!(found.len(), 1, "{topic}");
        assert_eq!(found[0].metric, metric, "{topic}");
        assert!((found[0].value - value).abs() < 1e-9, "{topic}: {found:?}");
    }
}

#[test]
fn first_generation_topics_that_repeat_others_measure_nothing() {
    for (topic, payload) in [
        ("shellies/plug-1/info", r#"{"relays":[{"ison":true}]}"#),
        ("shellies/announce", r#"{"id":"plug-1"}"#),
        ("shellies/plug-1/temperature_f", "104"),
        ("shellies/plug-1/relay/x/power", "104"),
        ("shellies/door-1/sensor/act_reasons", r#"["sensor"]"#),
    ] {
        assert!(message(topic, payload).found().is_empty(), "{topic}");
    }
}

#[test]
fn values_that_are_none_are_refused() {
    assert_eq!(message("shellies/x/sensor/temperature", "warm").error().reason(), DropReason::BadPayload);
    assert_eq!(message("shellies/x/sensor/temperature", "nan").error().reason(), DropReason::NotFinite);
    assert!(matches!(message("", "x").error(), DecodeError::Shape { .. }));
    assert!(matches!(message("", r#"{"method":"NotifyStatus"}"#).error(), DecodeError::Shape { .. }));
    assert_eq!(message("hall/online", "true").metrics(), named(&[("availability", 1.0)]));
}
