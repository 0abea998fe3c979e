//! Messages reported as sent have reached a real broker: an independent subscriber, mosquitto_sub, counts them.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Timestamp;
use mqtt_link::Options;
use simulator::mqtt::send;
use simulator::{Building, Fault, Load, Sent, SimulateError};
use testkit::clock::ManualClock;
use testkit::mosquitto::Mosquitto;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const NOON: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn building(devices: usize) -> Building {
    Building::new(NonZeroUsize::new(devices).unwrap(), 1)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOON))
}

fn options(broker: &Mosquitto) -> Options {
    Options::new(broker.url().parse().unwrap(), "simulator-test")
}

/// mosquitto_sub on everything, one line `topic payload` a message.
struct Subscriber {
    _process: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Subscriber {
    /// Returns when the broker has accepted the subscription: a retained message shows it, because `-d` would mix into the
    /// output.
    async fn start(broker: &Mosquitto) -> Self {
        let port = broker.port().to_string();
        let ready = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-t", "ready", "-m", "yes", "-r", "-q", "1"])
            .status();
        assert!(ready.await.unwrap().success());
        let mut process = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "#", "-F", "%t %p"])
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(output.next_line().await.unwrap().unwrap(), "ready yes");
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let _ = sender.send(line);
            }
        });
        Self { _process: process, lines }
    }

    /// The next `count` messages: how many of each topic.
    async fn topics(&mut self, count: u64) -> BTreeMap<String, u64> {
        let mut topics = BTreeMap::new();
        for _ in 0..count {
            let line =
                tokio::time::timeout(Duration::from_secs(10), self.lines.recv()).await.unwrap().unwrap();
            *topics.entry(line.split_once(' ').unwrap().0.to_owned()).or_default() += 1;
        }
        topics
    }
}

#[tokio::test]
async fn messages_reported_as_sent_have_arrived() {
    let broker = Mosquitto::start(&[]).await;
    let mut subscriber = Subscriber::start(&broker).await;
    let mut building = building(10);
    building.fail(3, Fault::Silent, NOON);
    let load = Load { rate: 1000.0, duration: Some(Duration::from_secs(1)) };
    let sent = send(options(&broker), building, load, clock(), CancellationToken::new()).await.unwrap();
    assert_eq!(sent, Sent { messages: 900, readings: 2700, ..Sent::default() });
    let topics = subscriber.topics(900).await;
    assert_eq!(topics.len(), 9, "one of ten is silent");
    assert!(topics.values().all(|count| *count == 100), "{topics:?}");
}

#[tokio::test]
async fn stops_on_request_and_reports_acknowledged_messages() {
    let broker = Mosquitto::start(&[]).await;
    let mut subscriber = Subscriber::start(&broker).await;
    let stop = CancellationToken::new();
    let load = Load { rate: 200.0, duration: None };
    let sending = tokio::spawn(send(options(&broker), building(5), load, clock(), stop.clone()));
    let first = subscriber.topics(20).await;
    stop.cancel();
    let sent = sending.await.unwrap().unwrap();
    assert!(sent.messages >= 20 && sent.unacknowledged == 0, "{sent:?}");
    let rest = subscriber.topics(sent.messages - 20).await;
    assert_eq!(first.values().chain(rest.values()).sum::<u64>(), sent.messages);
}

#[tokio::test]
async fn continues_when_a_killed_broker_is_back() {
    let mut broker = Mosquitto::start(&[]).await;
    let stop = CancellationToken::new();
    let load = Load { rate: 500.0, duration: None };
    let mut subscriber = Subscriber::start(&broker).await;
    let sending = tokio::spawn(send(options(&broker), building(5), load, clock(), stop.clone()));
    subscriber.topics(50).await;
    broker.pause();
    broker.kill();
    broker.restart().await;
    let mut subscriber = Subscriber::start(&broker).await;
    subscriber.topics(50).await;
    stop.cancel();
    let sent = sending.await.unwrap().unwrap();
    assert!(sent.messages >= 100 && sent.unacknowledged == 0, "{sent:?}");
}

#[tokio::test]
async fn reports_an_unreachable_broker() {
    let mut broker = Mosquitto::start(&[]).await;
    broker.stop();
    let load = Load { rate: 10.0, duration: None };
    let result = send(options(&broker), building(1), load, clock(), CancellationToken::new()).await;
    assert!(matches!(result, Err(SimulateError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn refuses_an_invalid_rate() {
    let broker = Mosquitto::start(&[]).await;
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let load = Load { rate, duration: None };
        let result = send(options(&broker), building(1), load, clock(), CancellationToken::new()).await;
        assert!(matches!(result, Err(SimulateError::BadRate { .. })), "{result:?}");
    }
}
