//! The MQTT adapter on the embedded broker's side of the seam; the broker's own side is tested in `crates/broker`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use adapters::mqtt::{MqttAdapter, MqttTarget, Route, Source, TopicFilter};
use bytes::Bytes;
use gateway_core::ports::{
    Adapter, AdapterContext, AdapterState, Command, LocalBroker, LocalMessage, Origin, Target,
};
use gateway_core::{Ack, AdapterId, CodecId, Condition, Delivery, MemoryPermit, Outcome, Timestamp, Uplink};
use testkit::clock::ManualClock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Hands out the one receiver that the test holds the sender of, and keeps what is published.
struct Seam {
    messages: Mutex<Option<mpsc::Receiver<LocalMessage>>>,
    published: Mutex<Vec<(String, Bytes)>>,
}

impl LocalBroker for Seam {
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage> {
        assert_eq!(adapter.as_str(), "mqtt.floor");
        self.messages.lock().unwrap().take().expect("attached once")
    }

    fn publish(&self, topic: &str, payload: Bytes) {
        self.published.lock().unwrap().push((topic.to_owned(), payload));
    }
}

fn message(topic: &str) -> (LocalMessage, oneshot::Receiver<Outcome>) {
    let (sender, outcome) = oneshot::channel();
    let ack = Ack::new(move |result| sender.send(result).unwrap());
    let (payload, memory) = ("21.5".into(), MemoryPermit::unbounded());
    (LocalMessage { topic: topic.into(), payload, origin: None, lost_before: 0, memory, ack }, outcome)
}

fn sent(client: &str, packet_id: u16, again: bool) -> LocalMessage {
    let origin = Some(Origin { client: client.into(), user: None, packet_id, again });
    LocalMessage { origin, ..message("values/lounge/temperature").0 }
}

fn key(uplink: &Uplink) -> (u64, bool) {
    let Delivery::AtLeastOnce { key, again } = uplink.delivery else { panic!("{uplink:?}") };
    (key, again)
}

#[tokio::test]
async fn hands_over_what_it_is_given_and_at_the_stop_what_waits() {
    let (sender, receiver) = mpsc::channel(8);
    let seam = Arc::new(Seam { messages: Mutex::new(Some(receiver)), published: Mutex::default() });
    let filter = TopicFilter::parse("values/{device}/{metric}").unwrap();
    let routes = vec![Route { filter, codec: CodecId(3), names_with_slashes: false, server: None }];
    let source = Source::Local(seam.clone());
    let mut adapter = MqttAdapter::new(AdapterId::new("mqtt", "floor"), source, routes);
    let (uplinks, mut taken) = mpsc::channel(1);
    let (commander, commands) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let condition = Condition::new(clock.clone());
    let mut is = condition.watch();
    let mut context = AdapterContext { uplinks, commands, condition, clock, stop: stop.clone() };
    let task = tokio::spawn(async move { adapter.run(&mut context).await });
    is.wait_for(|health| health.state == AdapterState::Up).await.unwrap();

    let target = Target::new(MqttTarget::Topic("lamp/set".to_owned()));
    let (done, answer) = oneshot::channel();
    commander.send(Command { target, payload: "on".into(), done }).await.unwrap();
    assert_eq!(answer.await.unwrap(), Ok(()));
    assert_eq!(*seam.published.lock().unwrap(), [("lamp/set".to_owned(), Bytes::from("on"))]);

    let (unwanted, outcome) = message("other/a");
    sender.send(unwanted).await.unwrap();
    assert_eq!(outcome.await, Ok(Outcome::Taken), "no one waits for it");
    let (first, mut outcome) = message("values/lounge/temperature");
    sender.send(first).await.unwrap();
    let uplink = taken.recv().await.unwrap().pop().unwrap();
    assert_eq!(uplink.device.as_ref().unwrap().as_str(), "lounge");
    assert_eq!((uplink.metric.as_deref(), uplink.codec), (Some("temperature"), CodecId(3)));
    assert_eq!((&uplink.payload[..], uplink.delivery), (&b"21.5"[..], Delivery::AtMostOnce));
    assert!(outcome.try_recv().is_err(), "only the pipeline reports the outcome");
    uplink.ack.complete(Outcome::Taken);
    assert_eq!(outcome.await, Ok(Outcome::Taken));

    // Known again by client, packet id, topic and payload.
    for message in [sent("a", 1, false), sent("a", 1, true), sent("b", 1, false), sent("a", 2, false)] {
        sender.send(message).await.unwrap();
    }
    let mut four = Vec::new();
    while four.len() < 4 {
        four.extend(taken.recv().await.unwrap().iter().map(key));
    }
    assert_eq!((four[0].0, four[0].1, four[1].1), (four[1].0, false, true));
    assert!(four[2].0 != four[0].0 && four[3].0 != four[0].0, "{four:?}");

    // The same payload again, retained or not, is another reading; and it waits when the stop comes.
    sender.send(message("values/lounge/temperature").0).await.unwrap();
    sender.send(message("values/lounge/temperature").0).await.unwrap();
    stop.cancel();
    let mut late = 0;
    while let Some(batch) = taken.recv().await {
        late += batch.len();
    }
    assert_eq!(late, 2);
    task.await.unwrap().unwrap();
    assert!(sender.is_closed(), "what comes now stays with its sender");
}
