//! Tests against a real mosquitto: both protocols, both directions, and every way in which a broker can disappear.
#![allow(unreachable_pub, missing_docs, reason = "shared by the modules of one test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod half_open;
mod hostile;
mod proxy;
mod publisher;
mod subscriber;
mod tls;

use std::time::Duration;

use gateway_core::Backoff;
use mqtt_link::{Event, Message, Options, Protocol, Publisher, PublisherEvent, Qos, Subscriber};
use testkit::mosquitto::Mosquitto;

pub const BOTH: [Protocol; 2] = [Protocol::V5, Protocol::V311];
const PATIENCE: Duration = Duration::from_secs(20);

/// With short pauses, so that tests are short.
pub fn options(url: &str, protocol: Protocol, client_id: &str) -> Options {
    let mut options = Options::new(url.parse().unwrap(), client_id);
    options.protocol = protocol;
    options.backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(200));
    options
}

pub async fn hear(subscriber: &mut Subscriber) -> Event {
    tokio::time::timeout(PATIENCE, subscriber.recv())
        .await
        .expect("an event in time")
        .expect("a running subscriber")
}

/// Skips events that are not messages.
pub async fn message(subscriber: &mut Subscriber) -> Message {
    loop {
        if let Event::Message(message) = hear(subscriber).await {
            return message;
        }
    }
}

/// Skips failed attempts. `true` if the broker kept the session.
pub async fn up(subscriber: &mut Subscriber) -> bool {
    let mut last = None;
    for _ in 0..50 {
        match hear(subscriber).await {
            Event::Up { session_present, refused } => {
                assert!(refused.is_empty(), "{refused:?}");
                return session_present;
            }
            Event::Down { reason } => last = Some(reason),
            Event::Message(_) => {}
        }
    }
    panic!("does not come up: {last:?}");
}

pub async fn down(subscriber: &mut Subscriber) -> String {
    loop {
        if let Event::Down { reason } = hear(subscriber).await {
            return reason;
        }
    }
}

pub async fn next(publisher: &mut Publisher) -> PublisherEvent {
    tokio::time::timeout(PATIENCE, publisher.next())
        .await
        .expect("an event in time")
        .expect("a running publisher")
}

pub async fn connected(publisher: &mut Publisher) {
    while next(publisher).await != PublisherEvent::Connected {}
}

/// A connected publisher.
pub async fn publisher(broker: &Mosquitto, client_id: &str) -> Publisher {
    let mut publisher = Publisher::start(options(&broker.url(), Protocol::V5, client_id));
    connected(&mut publisher).await;
    publisher
}

/// Publishes and waits for the acknowledgement.
pub async fn say(publisher: &mut Publisher, topic: &str, payload: &'static str) {
    publisher.try_publish(1, topic, payload.into(), false).unwrap();
    while next(publisher).await != PublisherEvent::Acked(1) {}
}

pub fn everything() -> Vec<(String, Qos)> {
    vec![("#".to_owned(), Qos::AtLeastOnce)]
}
