//! The publisher against mosquitto.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_link::{
    Duplex, DuplexEvent, Event, Options, Protocol, Publisher, PublisherEvent, Session, SubmitError,
    Subscriber, Will, WillSource,
};
use testkit::{eventually, mosquitto::Mosquitto};

use super::{BOTH, PATIENCE, connected, everything, message, next, options, publisher, say, up};

/// The simplest durable store: all unacknowledged messages, oldest first.
struct Sender {
    publisher: Publisher,
    unacked: BTreeSet<u64>,
    submitted: BTreeSet<u64>,
}

impl Sender {
    fn new(options: Options, tokens: std::ops::Range<u64>) -> Self {
        Self { publisher: Publisher::start(options), unacked: tokens.collect(), submitted: BTreeSet::new() }
    }

    fn fill(&mut self) {
        let waiting: Vec<u64> = self.unacked.difference(&self.submitted).copied().collect();
        for token in waiting {
            match self.publisher.try_publish(token, "seq", token.to_string().into(), false) {
                Ok(()) => drop(self.submitted.insert(token)),
                Err(SubmitError::NotConnected | SubmitError::WindowFull) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Until at most `left` are unacknowledged.
    async fn run_until(&mut self, left: usize) {
        while self.unacked.len() > left {
            self.fill();
            match next(&mut self.publisher).await {
                PublisherEvent::Acked(token) => drop(self.unacked.remove(&token)),
                PublisherEvent::Lost { .. } => self.submitted.clear(),
                PublisherEvent::Connected => {}
                PublisherEvent::Refused { token, refusal } => panic!("{token}: {refusal:?}"),
            }
        }
    }
}

/// All that a subscriber has received, over all its connections.
#[derive(Default)]
struct Seen {
    connections: usize,
    tokens: BTreeSet<u64>,
}

fn collect(mut cloud: Subscriber) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Some(event) = cloud.recv().await {
            let mut seen = seen.lock().unwrap();
            match event {
                Event::Up { .. } => seen.connections += 1,
                Event::Message(message) => {
                    seen.tokens.insert(std::str::from_utf8(&message.payload).unwrap().parse().unwrap());
                    message.ack.send();
                }
                Event::Down { .. } => {}
            }
        }
    });
    shared
}

#[tokio::test]
async fn nothing_is_lost_when_a_stalled_broker_is_killed() {
    for protocol in BOTH {
        let mut broker =
            Mosquitto::start(&["persistence true", "persistence_location {dir}/", "max_inflight_messages 0"])
                .await;
        let mut with = options(&broker.url(), protocol, "cloud");
        with.session = Session::Persistent { expiry: Duration::from_secs(3600) };
        let mut cloud = Subscriber::start(with.clone(), everything());
        up(&mut cloud).await;
        cloud.disconnect().await;
        // Stored together with its subscription, so it survives a kill.
        broker.restart().await;
        let mut cloud = Subscriber::start(with, everything());
        assert!(up(&mut cloud).await);
        let seen = collect(cloud);

        let mut sender = Sender::new(options(&broker.url(), protocol, "gateway"), 0..1000);
        for (kills, left) in [800, 500, 200].into_iter().enumerate() {
            // A message for an absent client exists only in the broker's memory and is lost with it.
            eventually(PATIENCE, || ready(seen.lock().unwrap().connections == kills)).await;
            sender.run_until(left).await;
            broker.pause();
            // Into a socket that nothing reads: in flight for rumqttc, unknown to the broker.
            sender.fill();
            tokio::time::timeout(Duration::from_millis(200), sender.run_until(0))
                .await
                .expect_err("a stalled broker acknowledges nothing for long");
            assert!(sender.publisher.in_flight() > 0);
            // The broker has forwarded what it acknowledged; it may still be in the subscriber's socket.
            let unacked = sender.unacked.clone();
            eventually(PATIENCE, || {
                let seen = seen.lock().unwrap();
                ready((0..1000).all(|token| unacked.contains(&token) || seen.tokens.contains(&token)))
            })
            .await;
            broker.kill();
            broker.restart().await;
        }
        sender.run_until(0).await;
        eventually(PATIENCE, || ready(seen.lock().unwrap().tokens.len() == 1000)).await;
    }
}

#[tokio::test]
async fn a_window_that_is_full_says_so_and_opens_again() {
    let broker = Mosquitto::start(&["max_inflight_messages 0"]).await;
    let mut mouth = publisher(&broker, "mouth").await;
    broker.pause();
    for token in 0..u64::from(Publisher::WINDOW) {
        mouth.try_publish(token, "a", "x".into(), false).unwrap();
    }
    assert_eq!(mouth.try_publish(99, "a", "x".into(), false), Err(SubmitError::WindowFull));
    broker.resume();
    assert_eq!(next(&mut mouth).await, PublisherEvent::Acked(0));
    mouth.try_publish(99, "a", "x".into(), false).unwrap();
    while next(&mut mouth).await != PublisherEvent::Acked(99) {}
    assert_eq!(mouth.in_flight(), 0);
}

#[tokio::test]
async fn what_can_never_be_sent_is_refused_at_once() {
    let broker = Mosquitto::start(&["max_packet_size 200"]).await;
    let mut mouth = publisher(&broker, "mouth").await;
    let too_large = mouth.try_publish(1, "a", vec![0; 300].into(), false).unwrap_err();
    assert!(matches!(too_large, SubmitError::TooLarge { limit: 200, .. }) && too_large.is_permanent());
    for topic in ["", "a/+", "#"] {
        let bad = mouth.try_publish(1, topic, "x".into(), false).unwrap_err();
        assert!(matches!(bad, SubmitError::BadTopic { .. }) && bad.is_permanent());
    }
    say(&mut mouth, "a", "fits").await;
}

#[tokio::test]
async fn a_topic_without_permission_is_refused_for_now() {
    let acl = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(acl.path(), "topic write open/#\n").unwrap();
    let broker = Mosquitto::start(&[&format!("acl_file {}", acl.path().display())]).await;
    let mut mouth = publisher(&broker, "mouth").await;
    mouth.try_publish(5, "closed/a", "x".into(), false).unwrap();
    let PublisherEvent::Refused { token: 5, refusal } = next(&mut mouth).await else { panic!("not refused") };
    assert!(!refusal.permanent && refusal.reason.contains("not allow"), "{refusal:?}");
    say(&mut mouth, "open/a", "x").await;
}

#[tokio::test]
async fn the_will_is_said_after_a_drop_and_not_after_a_disconnect() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let mut cloud = Subscriber::start(options(&broker.url(), protocol, "cloud"), everything());
        up(&mut cloud).await;
        let mut with = options(&broker.url(), protocol, "gateway");
        with.last_will = Some(Will { topic: "status".to_owned(), payload: "gone".into(), retain: true });

        let mut polite = Publisher::start(with.clone());
        connected(&mut polite).await;
        polite.disconnect().await;
        say(&mut publisher(&broker, "other").await, "after", "disconnect").await;
        assert_eq!(&*message(&mut cloud).await.topic, "after");

        let mut rude = Publisher::start(with);
        connected(&mut rude).await;
        drop(rude);
        let will = message(&mut cloud).await;
        assert_eq!((&*will.topic, &will.payload[..]), ("status", &b"gone"[..]));
    }
}

#[tokio::test]
async fn each_attempt_to_connect_has_a_will_of_its_own() {
    for protocol in BOTH {
        let mut broker = Mosquitto::start(&[]).await;
        broker.kill();
        let mut with = options(&broker.url(), protocol, "gateway");
        with.will_source = Some(WillSource::new(|attempt| Will {
            topic: "will".to_owned(),
            payload: attempt.to_string().into(),
            retain: false,
        }));
        let mut gateway = Duplex::start(with, Vec::new());
        let DuplexEvent::Down { .. } = gateway.next().await.unwrap() else { panic!("there is no broker") };
        broker.restart().await;
        let mut cloud = Subscriber::start(options(&broker.url(), protocol, "cloud"), everything());
        up(&mut cloud).await;
        let attempt = loop {
            if let DuplexEvent::Up { attempt, .. } = gateway.next().await.unwrap() {
                break attempt;
            }
        };
        assert!(attempt > 0, "the first failed");
        drop(gateway);
        let will = message(&mut cloud).await;
        assert_eq!((&*will.topic, &will.payload[..]), ("will", attempt.to_string().as_bytes()));
    }
}

#[tokio::test]
async fn an_unreachable_broker_is_reported_and_found_when_it_comes() {
    let mut broker = Mosquitto::start(&[]).await;
    broker.kill();
    let mut mouth = Publisher::start(options(&broker.url(), Protocol::V5, "mouth"));
    assert!(matches!(next(&mut mouth).await, PublisherEvent::Lost { .. }));
    assert_eq!(mouth.try_publish(1, "a", "x".into(), false), Err(SubmitError::NotConnected));
    broker.restart().await;
    connected(&mut mouth).await;
    say(&mut mouth, "a", "x").await;
}
