use std::task::{Context, Poll, Waker};

use gateway_core::Timestamp;
use record::{Reading, Record};
use testkit::clock::ManualClock;

use super::*;

fn item(number: u64) -> Item {
    let record = Record::Reading(Reading {
        gateway: "hq".to_owned(),
        device: format!("device-{number}"),
        zone: None,
        protocol: None,
        time: Timestamp::EPOCH,
        number: 0,
        same_time: false,
        metrics: vec![("temperature".to_owned(), 21.5)],
    });
    Item { lane: Lane::Readings, number, record, bytes: 50 }
}

#[tokio::test]
async fn a_write_that_was_given_up_and_went_on_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let values = serde_json::json!({"path": folder.path(), "send": ["readings"]});
    let table: Config = serde_json::from_value(values).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let mut sink = FileKind::build(&KeyPath::of("sinks.file.test"), &table, &clock).unwrap();
    sink.write(&[item(1)]).await.unwrap();
    let (batch, other) = ([item(2), item(3)], [item(4)]);
    // It waits for a thread when it is dropped, as at a time limit.
    let mut write = sink.write(&batch);
    assert!(matches!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    drop(write);
    sink.write(&batch).await.unwrap();
    sink.write(&other).await.unwrap();
    let path = folder.path().join("readings-19700101T000000Z-000.jsonl.part");
    let text = std::fs::read_to_string(path).unwrap();
    let devices: Vec<&str> = text.lines().filter_map(|line| line.split('"').nth(11)).collect();
    assert_eq!(devices, ["device-1", "device-2", "device-3", "device-4"], "{text}");
}
