//! Reads the devices' messages as a gateway would.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const NOON: i64 = 1_795_176_000_000;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(NOON + secs * 1000)
}

fn count(devices: usize) -> NonZeroUsize {
    NonZeroUsize::new(devices).unwrap()
}

fn json(message: &Message) -> BTreeMap<String, Value> {
    serde_json::from_slice(&message.payload).unwrap()
}

/// The values of `metric` that the first device sends, a second apart, with `fault` from the tenth second on.
fn values(fault: Fault, metric: &str, secs: i64) -> Vec<f64> {
    let mut building = Building::new(count(1), 1);
    building.fail(0, fault, at(10));
    (0..secs).map(|sec| json(&building.message(0, at(sec)).unwrap())[metric].as_f64().unwrap()).collect()
}

#[test]
fn the_same_seed_makes_the_same_building_in_any_order_of_calls() {
    let (mut one, mut two, mut other) =
        (Building::mixed(count(20), 1), Building::mixed(count(20), 1), Building::mixed(count(20), 2));
    let forward: Vec<_> = (0..20).map(|device| one.message(device, at(0))).collect();
    let mut backward: Vec<_> = (0..20).rev().map(|device| two.message(device, at(0))).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert_ne!(forward, (0..20).map(|device| other.message(device, at(0))).collect::<Vec<_>>());
}

#[test]
fn by_default_every_message_is_json_of_three_metrics() {
    let mut building = Building::new(count(50), 3);
    for device in 0..50 {
        let name = building.places().nth(device).unwrap().0.to_owned();
        let message = building.message(device, at(0)).unwrap();
        assert_eq!(message.topic, format!("sensors/{name}/telemetry"));
        assert_eq!(message.readings, 3);
        let values = json(&message);
        assert_eq!(values.keys().collect::<Vec<_>>(), ["co2", "humidity", "temperature"]);
        let value = |metric: &str| values[metric].as_f64().unwrap();
        assert!((15.0..28.0).contains(&value("temperature")), "{values:?}");
        assert!((20.0..70.0).contains(&value("humidity")), "{values:?}");
        assert!((400.0..1000.0).contains(&value("co2")), "{values:?}");
    }
}

#[test]
fn names_differ_and_zones_are_floors_and_rooms() {
    let building = Building::new(count(1000), 3);
    assert_eq!(building.places().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), 1000);
    assert_eq!(building.places().next(), Some(("lounge-0001", "floor-1/lounge")));
    assert_eq!(building.places().nth(9), Some(("kitchen-0010", "floor-2/kitchen")));
}

#[test]
fn every_payload_of_a_mixed_building_parses_and_counts_its_readings() {
    let mut building = Building::mixed(count(21), 4);
    let mut topics = BTreeSet::new();
    for second in 0..200 {
        for device in 0..21 {
            let message = building.message(device, at(second * 600)).unwrap();
            let levels: Vec<_> = message.topic.split('/').collect();
            match levels[..] {
                ["sensors", "data", _, metric] => {
                    let _: f64 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                    assert_eq!(message.readings, 1);
                    topics.insert(metric.to_owned());
                }
                ["sensors", _, "telemetry"] | ["zigbee2mqtt", _] => {
                    let values = json(&message);
                    assert!(values.values().all(|value| value.is_number() || value.is_boolean()));
                    assert_eq!(message.readings as usize, values.len());
                    topics.extend(values.into_keys());
                }
                _ => panic!("{}", message.topic),
            }
        }
    }
    let metrics =
        ["battery", "co2", "contact", "energy", "humidity", "illuminance", "linkquality", "occupancy"];
    assert_eq!(topics.iter().take(8).collect::<Vec<_>>(), metrics);
    assert_eq!(topics.iter().skip(8).collect::<Vec<_>>(), ["power", "temperature"]);
}

#[test]
fn a_meter_counts_the_energy_of_its_power() {
    let mut building = Building::mixed(count(3), 5);
    let readings: Vec<_> = (0..=3600)
        .map(|sec| json(&building.message(2, at(sec)).unwrap()))
        .map(|values| (values["power"].as_f64().unwrap(), values["energy"].as_f64().unwrap()))
        .collect();
    assert!(readings.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    let kwh = readings.iter().skip(1).map(|(power, _)| power).sum::<f64>() / 3_600_000.0;
    let counted = readings[3600].1 - readings[0].1;
    assert!((counted - kwh).abs() < 0.001, "{counted} {kwh}");
}

#[test]
fn a_spike_occurs_now_and_then() {
    let far_out = values(Fault::Spike, "temperature", 200).iter().filter(|value| **value > 80.0).count();
    assert_eq!(far_out, 4);
}

#[test]
fn a_stuck_sensor_repeats_its_last_value() {
    let values = values(Fault::Stuck, "temperature", 100);
    assert!(values[..10].iter().any(|value| *value != values[9]));
    assert!(values[9..].iter().all(|value| *value == values[9]));
}

#[test]
fn an_overheating_sensor_passes_40_degrees_within_20_seconds() {
    let values = values(Fault::TooHot, "temperature", 100);
    assert!(values[10] < 30.0 && values[30] > 40.0 && values[99] <= 60.0, "{values:?}");
}

#[test]
fn a_silent_device_sends_nothing() {
    let mut building = Building::new(count(1), 1);
    building.fail(0, Fault::Silent, at(10));
    assert!(building.message(0, at(9)).is_some());
    assert!(building.message(0, at(10)).is_none());
    assert!(building.message(1, at(9)).is_none(), "there is no such device");
}

#[test]
fn a_bad_payload_is_not_json_and_counts_as_one() {
    let mut building = Building::new(count(1), 1);
    building.fail(0, Fault::BadPayload, at(0));
    let message = building.message(0, at(1)).unwrap();
    assert!(serde_json::from_slice::<Value>(&message.payload).is_err());
    assert_eq!(message.readings, 1);
}

#[test]
fn a_wrong_clock_is_in_the_payload() {
    let mut building = Building::new(count(1), 1);
    building.fail(0, Fault::WrongClock, at(0));
    let message = building.message(0, at(61)).unwrap();
    assert_eq!(json(&message)["time"], "2000-01-01T00:01:01.000Z");
    assert_eq!(message.readings, 3);
}
