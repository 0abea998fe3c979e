use codecs::DecodeError;
use gateway_core::DropReason;

use crate::formats::support::{Message, named};

fn tele(payload: &str) -> Message<'_> {
    Message {
        codec: "tasmota",
        payload,
        topic: "tele/plug/SENSOR",
        device: Some("plug"),
        ..Message::default()
    }
}

#[test]
fn a_plug_measures_power_and_energy() {
    let payload = r#"{"Time":"2026-11-20T11:00:00","ENERGY":{"TotalStartTime":"2025-01-01T00:00:00","Total":3.705,
        "Today":0.026,"Power":5,"ApparentPower":6,"Factor":0.9,"Voltage":233,"Current":0.021,"Period":1}}"#;
    assert_eq!(
        tele(payload).metrics(),
        named(&[
            ("energy", 3.705),
            ("energy_today", 0.026),
            ("power", 5.0),
            ("power_apparent", 6.0),
            ("power_factor", 0.9),
            ("voltage", 233.0),
            ("current", 0.021),
            ("energy.period", 1.0),
        ])
    );
    assert!(tele(payload).found().iter().all(|it| it.at == Some(1_795_168_800_000)), "Paris time");
}

#[test]
fn sensors_that_share_a_word_keep_their_names_even_while_one_is_silent() {
    let two = r#"{"DS18B20-1":{"Id":"01","Temperature":21.4},"DS18B20-2":{"Id":"02","Temperature":null},
        "BME280":{"Humidity":40},"ESP32":{"Temperature":50},"TempUnit":"C"}"#;
    assert_eq!(
        tele(two).metrics(),
        named(&[("ds18b20_1.temperature", 21.4), ("humidity", 40.0), ("device_temperature", 50.0)])
    );
    let one = r#"{"DS18B20":{"Temperature":21.4},"COUNTER":{"C1":7},"ANALOG":{"A0":512}}"#;
    assert_eq!(
        tele(one).metrics(),
        named(&[("temperature", 21.4), ("counter.c1", 7.0), ("analog.a0", 512.0)])
    );
}

#[test]
fn fahrenheit_and_millimetres_become_celsius_and_hectopascals() {
    let payload = r#"{"BME280":{"Temperature":212,"DewPoint":32,"Humidity":50,"Pressure":750},
        "TempUnit":"F","PressureUnit":"mmHg"}"#;
    let found = tele(payload).metrics();
    let value = |name: &str| found.iter().find(|(it, _)| it == name).unwrap().1;
    assert!((value("temperature") - 100.0).abs() < 1e-9);
    assert!(value("dew_point").abs() < 1e-9);
    assert!((value("pressure") - 999.917_905_6).abs() < 1e-6);
    assert!((value("humidity") - 50.0).abs() < 1e-9);
}

#[test]
fn phases_are_numbered() {
    let payload = r#"{"ENERGY":{"Total":9,"Power":[1,2,3]}}"#;
    assert_eq!(
        tele(payload).metrics(),
        named(&[("energy", 9.0), ("power_1", 1.0), ("power_2", 2.0), ("power_3", 3.0)])
    );
}

#[test]
fn the_state_message_gives_relays_and_the_radio() {
    let payload = r#"{"Time":"2026-11-20T10:00:00+00:00","Uptime":"0T01:00:00","UptimeSec":3600,"Vcc":3.2,
        "POWER1":"ON","POWER2":"OFF","Switch1":"ON","Wifi":{"AP":1,"SSId":"x","RSSI":80,"Signal":-60}}"#;
    assert_eq!(
        tele(payload).metrics(),
        named(&[
            ("uptime", 3600.0),
            ("vcc", 3.2),
            ("state_1", 1.0),
            ("state_2", 0.0),
            ("switch_1", 1.0),
            ("wifi.ap", 1.0),
            ("wifi.quality", 80.0),
            ("rssi", -60.0),
        ])
    );
    assert_eq!(tele(payload).found()[0].at, Some(1_795_168_800_000));
}

#[test]
fn a_clock_that_is_not_set_counts_as_none() {
    assert_eq!(tele(r#"{"Time":"1970-01-01T00:01:00","A":{"Temperature":1}}"#).found()[0].at, None);
    let both = r#"{"Time":"2026-11-20T03:00:00","Epoch":1795168800,"A":{"Temperature":1}}"#;
    assert_eq!(tele(both).found()[0].at, Some(1_795_168_800_000), "the epoch is sure, the local time is not");
    assert!(matches!(tele(r#"{"Time":"noon","A":{"Temperature":1}}"#).error(), DecodeError::BadTime { .. }));
}

#[test]
fn bare_payloads_are_named_by_the_topic() {
    for (topic, payload, metric, value) in [
        ("tele/plug/LWT", "Online", "availability", 1.0),
        ("tele/plug/LWT", "Offline", "availability", 0.0),
        ("stat/plug/POWER", "ON", "state", 1.0),
        ("stat/plug/POWER2", "OFF", "state_2", 0.0),
    ] {
        assert_eq!(Message { topic, ..tele(payload) }.metrics(), named(&[(metric, value)]), "{topic}");
    }
    assert_eq!(tele("hello").error().reason(), DropReason::BadPayload);
}

#[test]
fn answers_to_status_hold_the_same() {
    let payload = r#"{"StatusSNS":{"Time":"2026-11-20T11:00:00","AM2301":{"Temperature":20,"Humidity":50}}}"#;
    assert_eq!(tele(payload).metrics(), named(&[("temperature", 20.0), ("humidity", 50.0)]));
}
