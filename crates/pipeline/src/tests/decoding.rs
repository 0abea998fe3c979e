//! What gets in, and what is counted instead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_core::{Ack, AdapterId, Delivery, DeviceAddress, DropReason, Measurement, Uplink};

use super::{Fixture, accept_all, at, decoder, uplink};
use crate::decode::directory::{DeviceRules, Directory};
use crate::engine::step::Step;

fn dropped(step: &Step) -> Vec<(DropReason, u32)> {
    step.batches.iter().flat_map(|batch| batch.dropped.clone()).collect()
}

#[test]
fn renames_and_calibrates_what_a_device_says() {
    let rules = DeviceRules {
        name: "lounge".to_owned(),
        rename: BTreeMap::from([("tempc".to_owned(), "temperature".to_owned())]),
        calibrate: BTreeMap::from([("temperature".to_owned(), (2.0, -1.0))]),
        codec: None,
    };
    let mut fixture = Fixture::new();
    fixture.decoder = decoder(Directory::new([("A4:C1:38:8D:18:B2".to_owned(), rules)], false, 10));
    let step = fixture.step(vec![uplink("a4:c1:38:8d:18:b2", r#"{"tempc":10.5}"#, at(0))], at(0));
    assert_eq!(&*step.names.devices[0], "lounge");
    assert_eq!(&*step.names.metrics[0].name, "temperature");
    assert_eq!(step.batches[0].readings[0].value, 20.0);
}

#[test]
fn counts_what_it_refuses_and_goes_on() {
    let mut fixture = Fixture::new();
    let mut nameless = uplink("x", r#"{"t":1}"#, at(0));
    nameless.device = None;
    let large = format!("{{\"t\":1,\"text\":\"{}\"}}", "x".repeat(300_000));
    let step = fixture.step(
        vec![
            uplink("a", "not json", at(0)),
            nameless,
            uplink("a", &large, at(0)),
            uplink("a", r#"{"t":1}"#, at(0)),
        ],
        at(0),
    );
    let expected = [(DropReason::BadPayload, 1), (DropReason::BadDevice, 1), (DropReason::TooLarge, 1)];
    assert_eq!(dropped(&step), expected);
    assert_eq!(step.batches[0].readings.len(), 1);
}

#[test]
fn takes_no_more_devices_than_it_may_but_always_those_it_knows() {
    let named = DeviceRules { name: "named".to_owned(), ..DeviceRules::default() };
    let mut fixture = Fixture::new();
    fixture.decoder = decoder(Directory::new([("named".to_owned(), named)], true, 3));
    let crowd = (0..10).map(|i| uplink(&format!("d{i}"), r#"{"t":1}"#, at(0))).collect();
    let step = fixture.step(crowd, at(0));
    assert_eq!(dropped(&step), [(DropReason::TooManyDevices, 7)]);
    fixture.engine.apply(&step, &mut super::Outputs::default());
    let step = fixture.step(vec![uplink("named", r#"{"t":1}"#, at(1))], at(1));
    assert_eq!(dropped(&step), []);
}

#[test]
fn ignores_devices_that_nobody_names_where_told_so() {
    let mut fixture = Fixture::new();
    fixture.decoder = decoder(Directory::new([], false, 10));
    let step = fixture.step(vec![uplink("stranger", r#"{"t":1,"h":2}"#, at(0))], at(0));
    assert_eq!(dropped(&step), [(DropReason::UnknownDevice, 2)]);
}

fn qos1(key: u64, again: bool) -> Uplink {
    Uplink { delivery: Delivery::AtLeastOnce { key, again }, ..uplink("a", r#"{"t":1}"#, at(0)) }
}

#[test]
fn a_message_delivered_twice_is_one_reading_but_published_twice_is_two() {
    let mut fixture = Fixture::new();
    fixture.tick(vec![qos1(7, false)], at(0));
    fixture.tick(vec![qos1(7, true)], at(1));
    fixture.tick(vec![qos1(7, false)], at(2));
    let balance = fixture.balance(0);
    assert_eq!((balance.total.open, balance.total.dropped.get("duplicate")), (2, Some(&1)));
    assert!(balance.balanced);
}

#[test]
fn what_an_adapter_lost_for_want_of_room_is_counted() {
    let mut fixture = Fixture::new();
    let after_a_gap = Uplink { lost_before: 3, ..uplink("a", r#"{"t":1}"#, at(0)) };
    fixture.tick(vec![after_a_gap, uplink("a", r#"{"t":1}"#, at(0))], at(0));
    let balance = fixture.balance(0);
    assert_eq!((balance.total.open, balance.total.dropped.get("no_room")), (2, Some(&3)));
    assert!(balance.balanced);
}

#[test]
fn what_an_adapter_refused_is_counted_by_its_reason_and_is_no_message() {
    let mut fixture = Fixture::new();
    let refused = vec![(DropReason::BadMic, 2), (DropReason::Replay, 3)];
    fixture.tick(vec![Uplink { refused, ..uplink("a", "", at(0)) }, uplink("a", r#"{"t":1}"#, at(0))], at(0));
    let balance = fixture.balance(0);
    let dropped = &balance.total.dropped;
    assert_eq!((dropped.get("bad_mic"), dropped.get("replay"), dropped.len()), (Some(&2), Some(&3), 2));
    assert_eq!((balance.total.open, balance.balanced), (1, true));
}

#[test]
fn everybody_who_waits_is_told_also_of_what_was_refused() {
    let notified = Arc::new(AtomicUsize::new(0));
    let with_ack = |payload: &str| {
        let notified = Arc::clone(&notified);
        let count = move |_| {
            notified.fetch_add(1, Ordering::Relaxed);
        };
        Uplink { ack: Ack::new(count), ..uplink("a", payload, at(0)) }
    };
    let mut fixture = Fixture { decoder: decoder(accept_all()), ..Fixture::new() };
    let mut acks = Vec::new();
    let mut step = Step::tick(at(0), None, fixture.engine.registry().next_numbers());
    let uplinks = vec![with_ack("{\"t\":1}"), with_ack("broken")];
    fixture.decoder.decode(Vec::new(), uplinks, &fixture.engine, &mut step, &mut acks);
    assert_eq!(notified.load(Ordering::Relaxed), 0, "nobody is notified before the step is stored");
    acks.into_iter().for_each(|(ack, outcome)| ack.complete(outcome));
    assert_eq!(notified.load(Ordering::Relaxed), 2);
}

#[test]
fn a_unit_belongs_to_the_device_that_told_it() {
    let senml = codecs::Codec::by_name("senml", &codecs::Options::default()).unwrap();
    let json = codecs::Codec::by_name("json", &codecs::Options::default()).unwrap();
    let mut fixture = Fixture::new();
    fixture.decoder = crate::decode::Decoder::new(vec![Arc::new(json), Arc::new(senml)], accept_all());
    let kelvin = Uplink {
        codec: gateway_core::CodecId(1),
        ..uplink("k", r#"[{"n":"temperature","u":"K","v":300}]"#, at(0))
    };
    fixture.tick(vec![kelvin, uplink("c", r#"{"temperature":20}"#, at(0))], at(0));
    let registry = fixture.engine.registry();
    let unit = |device: &str| {
        registry.unit(registry.device_id(device).unwrap(), registry.metric_id("temperature").unwrap())
    };
    assert_eq!((unit("k"), unit("c")), (Some("K"), Some("Cel")));
}

#[test]
fn what_a_link_has_understood_itself_needs_no_codec() {
    let mut fixture = Fixture::new();
    let measured =
        |metric: &str, value| Measurement { metric: metric.into(), value, is_state: false, unit: None };
    let measurements =
        vec![measured("power", 12.5), measured("energy", f64::NAN), measured("voltage", 230.0)];
    let message = Uplink {
        device: DeviceAddress::new("meter-1"),
        measurements,
        ..Uplink::new(AdapterId::new("wire", "cellar"), at(0).at)
    };
    fixture.tick(vec![message], at(0));
    let balance = fixture.balance(0);
    assert_eq!((balance.total.open, balance.total.dropped.get("not_finite")), (2, Some(&1)));
    assert!(balance.balanced);
}
