use std::collections::BTreeMap;

use gateway_core::{Detail, Severity, Summary, TimeQuality, Window};
use record::{Aggregate, Alert, Subject};
use testkit::clock::ManualClock;

use super::payload::{Payload, PropertyValue};
use super::*;

const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_795_132_800_000 + minute * MINUTE)
}

/// The aggregate of `device` in the minute before `end`.
fn aggregate(device: &str, metrics: &[&str], end: i64) -> Record {
    let metric = |name: &&str| record::Metric {
        name: (*name).to_owned(),
        unit: Some("Cel".to_owned()),
        summary: Summary {
            avg: 21.5,
            min: 20.0,
            max: 23.0,
            std: f64::NAN,
            count: 3,
            percentiles: Vec::new(),
            detail: Detail::Gauge { first: 20.0, last: 23.0 },
        },
    };
    Record::Aggregate(Aggregate {
        gateway: "hq".to_owned(),
        subject: Subject::Device { name: device.to_owned(), zone: None, protocol: None },
        window: Window { start: at(end - 1), end: at(end) },
        metrics: metrics.iter().map(metric).collect(),
        revision: 0,
        late: 0,
        time_quality: TimeQuality::Synced,
    })
}

fn silence(device: &str, state: AlertState, minute: i64) -> Record {
    Record::Alert(Alert {
        gateway: "hq".to_owned(),
        device: device.to_owned(),
        zone: None,
        protocol: None,
        metric: None,
        rule: "quiet".to_owned(),
        kind: AlertKind::Silent,
        state,
        severity: Severity::Warning,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: at(minute),
        at: at(minute),
        message: "silent".to_owned(),
        limit: None,
        notice: None,
    })
}

/// What was sent: the kind and device of the topic, and the payload.
#[derive(Debug)]
struct Sent {
    what: String,
    payload: Payload,
}

impl Sent {
    fn metric(&self, name: &str) -> &Metric {
        self.payload.metrics.iter().find(|metric| metric.name.as_deref() == Some(name)).unwrap()
    }

    fn is_historical(&self) -> bool {
        self.payload.metrics.iter().all(|metric| metric.is_historical == Some(true))
    }
}

/// Does what the pump does.
struct Fixture {
    format: Sparkplug,
    clock: ManualClock,
    number: u64,
}

impl Fixture {
    /// A format that is connected, with NBIRTH sent.
    fn connected() -> Self {
        let mut fixture = Self::new();
        assert_eq!(whats(&fixture.connect(0, 0)), ["NBIRTH"]);
        fixture
    }

    fn new() -> Self {
        let format = Sparkplug::new("building", "hq", Timestamp::from_millis(7_000));
        Self { format, clock: ManualClock::new(at(100)), number: 0 }
    }

    fn connect(&mut self, attempt: u64, newest: u64) -> Vec<Sent> {
        self.format.connected(Connection { attempt, newest });
        self.control(&[Point::First, Point::BeforeAggregates, Point::Idle])
    }

    fn control(&mut self, points: &[Point<'_>]) -> Vec<Sent> {
        let mut all = Vec::new();
        for point in points {
            while let Some(message) = self.format.control(*point, &self.clock) {
                let again = self.format.control(*point, &self.clock);
                assert_eq!(again.as_ref(), Some(&message), "the same until it is sent");
                self.format.submitted();
                all.push(sent(&message));
            }
        }
        all
    }

    /// Sends a record, and what comes before it and after it when no other waits.
    fn send(&mut self, record: &Record) -> Vec<Sent> {
        let mut all = self.send_only(record);
        all.extend(self.control(&[Point::BeforeAggregates, Point::Idle]));
        all
    }

    fn send_only(&mut self, record: &Record) -> Vec<Sent> {
        self.number += 1;
        let mut all = self.control(&[Point::First, Point::Before(record)]);
        let message = self.format.data(record, self.number, &self.clock);
        self.format.submitted();
        all.push(sent(&message));
        all
    }

    fn ask_for_rebirth(&mut self) {
        self.format.received("spBv1.0/building/NCMD/hq", &rebirth(true));
    }
}

fn sent(message: &Outgoing) -> Sent {
    let what = message.topic.strip_prefix("spBv1.0/building/").unwrap().replace("/hq", "");
    Sent { what, payload: Payload::decode(&message.payload[..]).unwrap() }
}

fn rebirth(value: bool) -> Vec<u8> {
    let value = Some(MetricValue::Boolean(value));
    let metric = Metric { value, is_null: None, ..Metric::new(REBIRTH, DataType::Boolean, None, at(0)) };
    Payload { timestamp: None, metrics: vec![metric], seq: None }.encode_to_vec()
}

fn whats(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(|sent| sent.what.as_str()).collect()
}

#[test]
fn births_come_before_data_and_numbers_have_no_gap() {
    let mut fixture = Fixture::connected();
    let mut numbers = Vec::new();
    for minute in 0..300 {
        let all = fixture.send(&aggregate("lounge", &["temperature"], minute));
        assert_eq!(whats(&all).first(), Some(&if minute == 0 { "DBIRTH/lounge" } else { "DDATA/lounge" }));
        numbers.extend(all.iter().map(|sent| sent.payload.seq.unwrap()));
    }
    // NBIRTH was 0.
    let expected: Vec<u64> = (1..=301).map(|number| number % 256).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn data_has_the_values_the_end_of_the_window_and_what_identifies_it() {
    let mut fixture = Fixture::connected();
    let all = fixture.send(&aggregate("lounge", &["temperature"], 1));
    let [birth, data] = &all[..] else { panic!("{:?}", whats(&all)) };
    let average = data.metric("temperature/avg");
    assert_eq!(average.value, Some(MetricValue::Double(21.5)));
    assert_eq!((average.datatype, average.timestamp), (Some(10), Some(millis(at(1)))));
    assert_eq!(average.is_historical, None);
    assert_eq!(data.metric("temperature/count").value, Some(MetricValue::Long(3)));
    assert_eq!(data.metric("temperature/std").is_null, Some(true), "it is no number");
    assert_eq!(data.metric("aggregate/seq").value, Some(MetricValue::Long(1)));
    let id = format!("hq/lounge/{}/60000", millis(at(0)));
    assert_eq!(data.metric("aggregate/id").value, Some(MetricValue::Text(id)));
    assert_eq!(data.payload.timestamp, Some(millis(at(100))));

    let names = |sent: &Sent| -> BTreeMap<String, Option<u32>> {
        sent.payload.metrics.iter().map(|metric| (metric.name.clone().unwrap(), metric.datatype)).collect()
    };
    assert_eq!(names(birth), names(data));
    assert!(
        birth.payload.metrics.iter().all(|metric| metric.is_null == Some(true)),
        "nothing was sent before"
    );
    let unit = birth.metric("temperature/avg").properties.clone().unwrap();
    assert_eq!(unit.keys, ["engUnit"]);
    assert_eq!(unit.values, [PropertyValue { datatype: Some(12), text: Some("Cel".to_owned()) }]);
}

#[test]
fn a_new_metric_makes_a_new_birth_with_the_values_sent_before() {
    let mut fixture = Fixture::connected();
    fixture.send(&aggregate("lounge", &["temperature"], 1));
    let all = fixture.send(&aggregate("lounge", &["temperature", "co2"], 2));
    assert_eq!(whats(&all), ["DBIRTH/lounge", "DDATA/lounge"]);
    let known = all[0].metric("temperature/avg");
    assert_eq!(
        (known.value.clone(), known.timestamp),
        (Some(MetricValue::Double(21.5)), Some(millis(at(1))))
    );
    assert_eq!(all[0].metric("co2/avg").is_null, Some(true));
    assert_eq!(whats(&fixture.send(&aggregate("lounge", &["co2"], 3))), ["DDATA/lounge"]);
}

#[test]
fn a_new_connection_begins_anew_and_its_will_has_the_number_of_its_birth() {
    let mut fixture = Fixture::connected();
    fixture.send(&aggregate("lounge", &["temperature"], 1));
    fixture.send(&aggregate("hall", &["temperature"], 1));
    let will = fixture.format.will().unwrap();
    for attempt in [1, 5, 250] {
        let all = fixture.connect(attempt, 0);
        assert_eq!(whats(&all), ["NBIRTH", "DBIRTH/lounge", "DBIRTH/hall"]);
        assert_eq!(all.iter().map(|sent| sent.payload.seq.unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(all[0].metric(REBIRTH).value, Some(MetricValue::Boolean(false)));
        let will = will.will(attempt);
        assert_eq!((&*will.topic, will.retain), ("spBv1.0/building/NDEATH/hq", false));
        let death = Payload::decode(will.payload).unwrap();
        assert_eq!(death.metrics[0].value, all[0].metric("bdSeq").value);
        assert_eq!(death.metrics[0].value, Some(MetricValue::Long((7 + attempt) % 256)));
        assert_eq!(death.seq, None);
        let farewell = fixture.format.farewell(&fixture.clock).unwrap();
        assert_eq!(Payload::decode(&farewell.payload[..]).unwrap(), death);
    }
}

#[test]
fn alerts_do_not_wait_for_the_births_of_other_devices() {
    let mut fixture = Fixture::connected();
    fixture.send(&aggregate("lounge", &["temperature"], 1));
    fixture.send(&aggregate("hall", &["temperature"], 1));
    fixture.format.connected(Connection { attempt: 1, newest: 0 });
    let all = fixture.send_only(&silence("hall", AlertState::Cleared, 2));
    assert_eq!(whats(&all), ["NBIRTH", "DBIRTH/hall", "DDATA/hall"]);
    assert_eq!(whats(&fixture.control(&[Point::BeforeAggregates])), ["DBIRTH/lounge"]);
}

#[test]
fn a_rebirth_request_is_answered_with_all_births_before_any_data() {
    let mut fixture = Fixture::connected();
    fixture.send(&aggregate("lounge", &["temperature"], 1));
    fixture.send(&aggregate("hall", &["temperature"], 1));
    fixture.ask_for_rebirth();
    fixture.ask_for_rebirth();
    let all = fixture.send(&aggregate("hall", &["temperature"], 2));
    assert_eq!(whats(&all), ["NBIRTH", "DBIRTH/lounge", "DBIRTH/hall", "DDATA/hall"], "one answer to both");
    assert_eq!(all.iter().map(|sent| sent.payload.seq.unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(all[0].metric("bdSeq").value, Some(MetricValue::Long(7)), "it is the same connection");
    fixture.ask_for_rebirth();
    assert_eq!(whats(&fixture.control(&[Point::First])), ["NBIRTH", "DBIRTH/lounge", "DBIRTH/hall"]);
}

#[test]
fn other_commands_and_garbage_change_nothing() {
    let mut fixture = Fixture::connected();
    let name = |name: &str| {
        let value = Some(MetricValue::Boolean(true));
        Payload {
            timestamp: None,
            metrics: vec![Metric { value, ..Metric::new(name, DataType::Boolean, None, at(0)) }],
            seq: None,
        }
        .encode_to_vec()
    };
    let mut large = rebirth(true);
    large.extend([0x12, 0x00].repeat(10_000));
    let cut = rebirth(true)[..9].to_vec();
    let nested = [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f].repeat(100);
    for garbage in
        [Vec::new(), vec![0xff; 100], rebirth(false), name("Node Control/Reboot"), large, cut, nested]
    {
        fixture.format.received("spBv1.0/building/NCMD/hq", &garbage);
        assert_eq!(whats(&fixture.control(&[Point::First])), [""; 0]);
    }
    fixture.format.received("spBv1.0/building/NCMD/other", &rebirth(true));
    assert_eq!(whats(&fixture.control(&[Point::First])), [""; 0]);
}

#[test]
fn what_was_stored_before_the_connection_is_historical() {
    let mut fixture = Fixture::new();
    fixture.connect(0, 2);
    for (minute, historical) in [(1, true), (2, true), (3, false)] {
        let all = fixture.send(&aggregate("lounge", &["temperature"], minute));
        assert_eq!(all.last().unwrap().is_historical(), historical, "{minute}");
    }
    let old = fixture.send(&aggregate("lounge", &["temperature"], 2));
    assert!(old[0].is_historical(), "a newer value was sent");
    let births = fixture.connect(1, 0);
    assert_eq!(
        births[1].metric("temperature/avg").timestamp,
        Some(millis(at(3))),
        "the newest, not the last"
    );
}

#[test]
fn a_silent_device_dies_and_lives_again_when_it_is_heard() {
    let mut fixture = Fixture::connected();
    fixture.send(&aggregate("lounge", &["temperature"], 1));
    let all = fixture.send(&silence("lounge", AlertState::Raised, 10));
    assert_eq!(whats(&all), ["DBIRTH/lounge", "DDATA/lounge", "DDEATH/lounge"], "the alert has new metrics");
    assert!(all[2].payload.metrics.is_empty());
    // It is not born with the others.
    assert_eq!(whats(&fixture.connect(1, 0)), ["NBIRTH"]);
    // What it had said before comes late: it is born for that, and dies when nothing waits any more.
    assert_eq!(
        whats(&fixture.send_only(&aggregate("lounge", &["temperature"], 2))),
        ["DBIRTH/lounge", "DDATA/lounge"]
    );
    assert_eq!(
        whats(&fixture.send(&aggregate("lounge", &["temperature"], 9))),
        ["DDATA/lounge", "DDEATH/lounge"]
    );
    let all = fixture.send(&silence("lounge", AlertState::Cleared, 12));
    assert_eq!(whats(&all), ["DBIRTH/lounge", "DDATA/lounge"]);
    // Readings after the alert do as well.
    fixture.send(&silence("lounge", AlertState::Raised, 20));
    let all = fixture.send(&aggregate("lounge", &["temperature"], 22));
    assert_eq!(whats(&all), ["DBIRTH/lounge", "DDATA/lounge"]);
}

#[test]
fn names_are_encoded_as_levels_and_no_device_looks_like_a_zone() {
    let mut fixture = Fixture::connected();
    let mut zone = aggregate("", &["temperature"], 1);
    if let Record::Aggregate(aggregate) = &mut zone {
        aggregate.subject = Subject::Zone { name: "floor-1/lounge".to_owned() };
    }
    assert_eq!(whats(&fixture.send(&zone))[1], "DDATA/zones%2Ffloor-1%2Flounge");
    let device = aggregate("zones/floor-1/lounge", &["temperature"], 1);
    assert_eq!(whats(&fixture.send(&device))[1], "DDATA/zones%252Ffloor-1%2Flounge");
    let alert = silence("zones/floor-1/lounge", AlertState::Cleared, 1);
    assert_eq!(whats(&fixture.send(&alert))[1], "DDATA/zones%252Ffloor-1%2Flounge");
}

#[test]
fn a_number_is_used_only_when_its_message_is_sent() {
    let mut fixture = Fixture::connected();
    let record = aggregate("lounge", &["temperature"], 1);
    let birth = fixture.format.control(Point::Before(&record), &fixture.clock).unwrap();
    assert_eq!(sent(&birth).payload.seq, Some(1));
    fixture.format.skipped();
    let never = fixture.format.data(&record, 1, &fixture.clock);
    assert_eq!(sent(&never).payload.seq, Some(1));
    let all = fixture.send(&aggregate("lounge", &["temperature"], 2));
    assert_eq!((whats(&all), all[0].payload.seq), (vec!["DDATA/lounge"], Some(1)));
}

#[test]
fn the_devices_that_sent_nothing_for_longest_are_forgotten_first() {
    let mut devices = Devices::new(30);
    let record = aggregate("x", &["temperature"], 1);
    let fields = fields(&record, 1, as_it_is);
    assert_eq!(fields.len(), 13);
    for name in ["a", "b", "a", "c"] {
        devices.add(name, &fields);
        assert!(devices.metrics() <= 30);
    }
    let known: Vec<bool> = ["a", "b", "c"].iter().map(|name| devices.get(name).is_some()).collect();
    assert_eq!((known, devices.len(), devices.metrics()), (vec![true, false, true], 2, 26));
    // One device with too many begins anew.
    let others: Vec<Field<'_>> =
        (0..20).map(|i| Field { name: i.to_string(), value: Value::Int(i), unit: None }).collect();
    devices.add("c", &others);
    assert_eq!((devices.len(), devices.metrics()), (1, 20));
}
