use std::time::Duration;

use gateway_core::Detail;
use proptest::prelude::*;

use super::*;

fn aggregate(device: &str, detail: Detail, values: [f64; 4]) -> Record {
    let [avg, min, max, std] = values;
    let start = Timestamp::from_millis(1_795_132_800_000);
    let summary = Summary { avg, min, max, std, count: 30, percentiles: vec![(95.0, avg)], detail };
    Record::Aggregate(Aggregate {
        gateway: "hq-north".to_owned(),
        subject: Subject::Device {
            name: device.to_owned(),
            zone: Some("floor-1/lounge".to_owned()),
            protocol: Some("lorawan".to_owned()),
        },
        window: Window { start, end: start + Duration::from_secs(300) },
        metrics: vec![Metric { name: "temperature".to_owned(), unit: Some("Cel".to_owned()), summary }],
        revision: 0,
        late: 0,
        time_quality: TimeQuality::Synced,
    })
}

fn json(record: &Record, seq: Option<u64>) -> String {
    String::from_utf8(record.to_json(seq)).unwrap()
}

#[test]
fn an_aggregate_is_written_as_the_interface_has_it() {
    let record = aggregate("lounge", Detail::Gauge { first: 21.2, last: 21.6 }, [21.4, 21.1, 21.9, 0.21]);
    assert_eq!(
        json(&record, Some(4711)),
        r#"{"id":"hq-north/lounge/1795132800000/300000","gateway":"hq-north","seq":4711,"device":"lounge","zone":"floor-1/lounge","protocol":"lorawan","window":{"start":"2026-11-20T00:00:00.000Z","end":"2026-11-20T00:05:00.000Z"},"metrics":{"temperature":{"avg":21.4,"min":21.1,"max":21.9,"std":0.21,"count":30,"p95":21.4,"first":21.2,"last":21.6,"unit":"Cel"}},"revision":0,"late":0,"time_quality":"synced"}"#
    );
    assert!(!json(&record, None).contains("seq"));
}

#[test]
fn a_device_whose_name_begins_as_a_zone_does_not_look_like_one() {
    let record = aggregate("zones/x", Detail::Gauge { first: 1.0, last: 1.0 }, [1.0; 4]);
    assert_eq!(record.id(), "hq-north/zones%2Fx/1795132800000/300000");
}

#[test]
fn a_reading_is_one_message_with_all_its_metrics() {
    let record = Record::Reading(Reading {
        gateway: "hq".to_owned(),
        device: "lounge".to_owned(),
        zone: None,
        protocol: Some("mqtt".to_owned()),
        time: Timestamp::from_millis(1_795_132_800_123),
        number: 1,
        same_time: false,
        metrics: vec![("temperature".to_owned(), 21.5), ("humidity".to_owned(), 61.0)],
    });
    assert_eq!(
        json(&record, None),
        r#"{"id":"hq/readings/lounge/1795132800123/1","gateway":"hq","device":"lounge","protocol":"mqtt","time":"2026-11-20T00:00:00.123Z","metrics":{"temperature":21.5,"humidity":61.0}}"#
    );
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
}

#[test]
fn stored_bytes_of_another_version_or_cut_short_are_refused() {
    let record = aggregate("lounge", Detail::Gauge { first: 1.0, last: 2.0 }, [1.0; 4]);
    let bytes = record.encode();
    for length in 0..bytes.len() {
        assert!(Record::decode(&bytes[..length]).is_err());
    }
    let newer = [&[99], &bytes[1..]].concat();
    assert!(matches!(Record::decode(&newer), Err(DecodeError::OtherVersion { found: 99 })));
    assert!(bytes.len() < 180, "{} bytes", bytes.len());
}

proptest! {
    #[test]
    fn what_is_stored_comes_back_bit_for_bit(
        device in ".{0,40}",
        values in any::<[f64; 4]>(),
        changes in any::<u32>(),
        duration in prop::collection::vec(any::<(f64, f64)>(), 0..4),
    ) {
        let detail = Detail::State { last: values[0], changes, duration };
        let record = aggregate(&device, detail, values);
        let read = Record::decode(&record.encode()).unwrap();
        prop_assert_eq!(read.encode(), record.encode());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::decode(&[&[VERSION], bytes.as_slice()].concat());
    }
}
