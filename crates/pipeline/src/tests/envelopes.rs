//! What network servers say: whose message it is, which codec reads it, what remains where none can.

use codecs::javascript;
use gateway_core::DropReason;

use super::*;
use crate::decode::directory::DeviceRules;

const DEV_EUI: &str = "70B3D57ED0001A2B";

/// A decoder for `ttn` whose second codec is a device's own.
fn decoder(devices: &[(&str, &str, bool)]) -> Decoder {
    let ttn = Codec::by_name("ttn", &Options::default()).unwrap();
    let script = "function decodeUplink(input) {
        if (input.bytes[0] === 255) while (true) {}
        return {data: {first: input.bytes[0]}};
    }";
    let own = Codec::from_file("own.js", script, &javascript::Engine::default()).unwrap();
    let rules = |(name, address, own): &(&str, &str, bool)| {
        let codec = own.then_some(CodecId(1));
        let rules = DeviceRules { name: (*name).to_owned(), codec, ..DeviceRules::default() };
        ((*address).to_owned(), rules)
    };
    let directory = Directory::new(devices.iter().map(rules), true, 100);
    Decoder::new(vec![Arc::new(ttn), Arc::new(own)], directory)
}

fn fixture(devices: &[(&str, &str, bool)]) -> Fixture {
    Fixture { engine: Engine::new(settings()), decoder: decoder(devices) }
}

/// An uplink of `device` as the topic has it, with these bytes in base64, perhaps decoded.
fn sent(device: Option<&str>, bytes: &str, decoded: &str) -> Uplink {
    let payload = format!(
        r#"{{"end_device_ids":{{"device_id":"room-7","dev_eui":"{DEV_EUI}"}},"uplink_message":{{"f_port":2,
        "frm_payload":"{bytes}","decoded_payload":{decoded},"rx_metadata":[{{"rssi":-71,"snr":8}}]}}}}"#
    );
    let mut uplink = uplink("x", &payload, at(0));
    uplink.device = device.and_then(DeviceAddress::new);
    uplink
}

/// Devices, and metrics with their values, in a step.
fn readings_of(step: &Step) -> (Vec<&str>, Vec<(&str, f64)>) {
    let metric = |id: gateway_core::MetricId| &*step.names.metrics[id.0 as usize].name;
    let readings = step.batches.iter().flat_map(|batch| &batch.readings);
    (
        step.names.devices.iter().map(|name| &**name).collect(),
        readings.map(|reading| (metric(reading.metric), reading.value)).collect(),
    )
}

const RADIO: [(&str, f64); 2] = [("rssi", -71.0), ("snr", 8.0)];

#[test]
fn a_device_is_known_by_the_topics_name_or_by_its_dev_eui() {
    for (address, topic, expected) in [
        ("room-7", Some("room-7"), "lounge"),
        (DEV_EUI, Some("room-7"), "lounge"),
        ("70b3d57ed0001a2b", None, "lounge"),
        (DEV_EUI, Some(DEV_EUI), "lounge"),
        ("other", Some("room-7"), "room-7"),
        ("other", Some(DEV_EUI), "70b3d57ed0001a2b"),
        ("other", None, "70b3d57ed0001a2b"),
    ] {
        let mut fixture = fixture(&[("lounge", address, false)]);
        let step = fixture.step(vec![sent(topic, "", r#"{"t":1}"#)], at(0));
        let (devices, readings) = readings_of(&step);
        assert_eq!(devices, [expected], "{address} {topic:?}");
        assert_eq!(readings, [&[("t", 1.0)], &RADIO[..]].concat());
    }
}

#[test]
fn the_name_of_the_topic_counts_where_both_are_known() {
    let mut fixture = fixture(&[("by-topic", "room-7", true), ("by-eui", DEV_EUI, false)]);
    let step = fixture.step(vec![sent(Some("room-7"), "Bw==", r#"{"t":1}"#)], at(0));
    assert_eq!(readings_of(&step), (vec!["by-topic"], [&[("first", 7.0)], &RADIO[..]].concat()));
}

#[test]
fn a_codec_of_the_devices_own_is_found_by_its_dev_eui() {
    let mut fixture = fixture(&[("lounge", DEV_EUI, true)]);
    let step = fixture.step(vec![sent(Some("room-7"), "Bw==", "null")], at(0));
    assert_eq!(readings_of(&step), (vec!["lounge"], [&[("first", 7.0)], &RADIO[..]].concat()));
}

#[test]
fn bytes_that_nobody_can_read_are_counted_and_the_radio_is_measured() {
    let mut fixture = fixture(&[]);
    let step = fixture.step(vec![sent(Some("room-7"), "Bw==", "null")], at(0));
    assert_eq!(readings_of(&step), (vec!["room-7"], RADIO.to_vec()));
    assert_eq!(step.batches[0].dropped, [(DropReason::NoCodec, 1)]);
}

#[test]
fn a_codec_that_loops_harms_only_its_device() {
    let mut fixture = fixture(&[("looping", "loop", true), ("fine", "fine", true)]);
    let mut messages = Vec::new();
    for _ in 0..8 {
        messages.push(sent(Some("loop"), "/w==", "null"));
        messages.push(sent(Some("fine"), "Bw==", "null"));
    }
    let step = fixture.step(messages, at(0));
    let (_, readings) = readings_of(&step);
    assert_eq!(readings.iter().filter(|reading| **reading == ("first", 7.0)).count(), 8);
    assert_eq!(readings.iter().filter(|(metric, _)| *metric == "rssi").count(), 16);
    assert_eq!(step.batches[0].dropped, [(DropReason::BadPayload, 8)]);
}

#[test]
fn a_join_is_no_device_yet() {
    let mut fixture = fixture(&[]);
    let join = r#"{"end_device_ids":{"device_id":"d"},"join_accept":{"session_key_id":"AA=="}}"#;
    let step = fixture.step(vec![uplink("d", join, at(0)), uplink("d", "[]", at(0))], at(0));
    assert_eq!(readings_of(&step), (vec![], vec![]));
    assert_eq!(step.batches[0].dropped, [(DropReason::BadPayload, 1)]);
}
