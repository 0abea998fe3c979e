//! With a real mosquitto as the cloud and a real outbox on disk.

use std::collections::BTreeSet;
use std::future::ready;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::{AlertKind, AlertState, Backoff, Severity, Timestamp};
use mqtt_link::{Event, Message, Protocol, Qos, Session, Subscriber};
use outbox::{Entry, Lane, Outbox, PerLane, Share, SinkOptions, Start, Totals, WhenFull};
use record::{Alert, Record};
use tempfile::TempDir;
use testkit::clock::ManualClock;
use testkit::{eventually, mosquitto::Mosquitto};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const STATUS: &str = "status";

/// An outbox in a folder of its own.
struct Store {
    handle: outbox::Handle,
    mark: u64,
    _folder: TempDir,
}

impl Store {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = outbox::Options {
            max_bytes: 1 << 30,
            when_full: WhenFull::DropOldest,
            producer_repeats: true,
            spill_after: Duration::ZERO,
        };
        let lanes = PerLane { alerts: true, aggregates: true, readings: false };
        let sink = SinkOptions { name: NAME.into(), lanes, start: Start::Now };
        let (outbox, _) = Outbox::open(&folder.path().join("outbox"), options, &[sink]).unwrap();
        let (handle, _thread) = outbox::spawn(outbox).unwrap();
        Self { handle, mark: 0, _folder: folder }
    }

    /// `count` records with a text of this length.
    async fn append(&mut self, lane: Lane, count: usize, length: usize) {
        let entry = || {
            let shares = vec![Share { account: "mqtt.floor".into(), weight: 1 }];
            Entry::new(lane, record(lane, length).encode(), shares).unwrap()
        };
        self.mark += 1;
        self.handle.append(self.mark, std::iter::repeat_with(entry).take(count).collect(), 0).await.unwrap();
        let mark = self.mark;
        self.handle.status().wait_for(|status| status.mark == mark).await.unwrap();
    }

    async fn empty(&self) {
        eventually(PATIENCE, || ready(self.totals().queued.entries == 0)).await;
    }

    fn totals(&self) -> Totals {
        self.handle.status().borrow().sink(NAME).unwrap().totals.clone()
    }
}

/// An alert whose topic shows the lane.
fn record(lane: Lane, length: usize) -> Record {
    Record::Alert(Alert {
        gateway: "hq".to_owned(),
        device: lane.as_str().to_owned(),
        zone: None,
        protocol: None,
        metric: None,
        rule: "silent".to_owned(),
        kind: AlertKind::Silent,
        state: AlertState::Raised,
        severity: Severity::Warning,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: Timestamp::EPOCH,
        at: Timestamp::EPOCH,
        message: " ".repeat(length),
        limit: None,
        notice: None,
    })
}

fn link(broker: &Mosquitto, protocol: Protocol, client_id: &str) -> Options {
    let mut options = Options::new(broker.url().parse().unwrap(), client_id);
    options.protocol = protocol;
    options.backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(200));
    options
}

fn settings(broker: &Mosquitto, protocol: Protocol) -> Settings {
    Settings {
        link: link(broker, protocol, "gateway"),
        max_in_flight: 64,
        format: Format::Json,
        compression: Compression::None,
        prefix: "b".to_owned(),
        gateway: "gateway".to_owned(),
        status_topic: STATUS.to_owned(),
        offline: "offline".into(),
        commands: None,
    }
}

fn start(settings: Settings, store: &Store) -> Upstream {
    Upstream::start(settings, store.handle.sink(NAME), Arc::new(ManualClock::new(Timestamp::EPOCH)))
}

/// Everything that arrived in the cloud, in order.
#[derive(Default)]
struct Arrived {
    connections: usize,
    messages: Vec<Message>,
}

impl Arrived {
    fn seqs(&self) -> BTreeSet<u64> {
        self.messages.iter().filter_map(|message| seq(&message.payload)).collect()
    }

    fn has(&self, topic: &str, payload: &str) -> bool {
        self.messages.iter().any(|message| &*message.topic == topic && message.payload == payload)
    }
}

fn seq(payload: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(payload).ok()?.get("seq")?.as_u64()
}

type Cloud = Arc<Mutex<Arrived>>;

async fn cloud(options: Options) -> Cloud {
    let mut subscriber = Subscriber::start(options, vec![("#".to_owned(), Qos::AtLeastOnce)]);
    let arrived = Cloud::default();
    let shared = Arc::clone(&arrived);
    tokio::spawn(async move {
        while let Some(event) = subscriber.recv().await {
            let mut arrived = shared.lock().unwrap();
            match event {
                Event::Up { .. } => arrived.connections += 1,
                Event::Message(mut message) => {
                    std::mem::take(&mut message.ack).send();
                    arrived.messages.push(message);
                }
                Event::Down { .. } => {}
            }
        }
    });
    eventually(PATIENCE, || ready(arrived.lock().unwrap().connections == 1)).await;
    arrived
}

async fn arrives(cloud: &Cloud, topic: &str, payload: &str) {
    eventually(PATIENCE, || ready(cloud.lock().unwrap().has(topic, payload))).await;
}

#[tokio::test]
async fn no_seq_is_missing_when_a_stalled_broker_is_killed() {
    for protocol in [Protocol::V5, Protocol::V311] {
        let mut broker =
            Mosquitto::start(&["persistence true", "persistence_location {dir}/", "max_inflight_messages 0"])
                .await;
        let mut ears = link(&broker, protocol, "cloud");
        ears.session = Session::Persistent { expiry: Duration::from_secs(3600) };
        let cloud = cloud(ears).await;
        // In order, so that the cloud's session is stored and survives the kills.
        broker.restart().await;
        let mut store = Store::new();
        let upstream = start(settings(&broker, protocol), &store);
        for kills in 0..3 {
            eventually(PATIENCE, || ready(cloud.lock().unwrap().connections == kills + 2)).await;
            store.append(Lane::Aggregates, 100, 50).await;
            store.empty().await;
            broker.pause();
            store.append(Lane::Aggregates, 100, 50).await;
            // How long it stalls, with messages in a socket that is not read.
            tokio::time::sleep(Duration::from_millis(200)).await;
            // Acknowledged messages were passed on before; they may still be in the cloud's socket.
            let published = upstream.handle().state().published;
            eventually(PATIENCE, || ready(cloud.lock().unwrap().seqs().len() as u64 >= published)).await;
            broker.kill();
            broker.restart().await;
        }
        store.empty().await;
        eventually(PATIENCE, || ready(cloud.lock().unwrap().seqs() == (1..=600).collect())).await;
        assert_eq!(upstream.handle().state().published, 600, "each counts once");
        upstream.stop("offline".into()).await;
    }
}

#[tokio::test]
async fn alerts_overtake_a_backlog() {
    let broker = Mosquitto::start(&[]).await;
    let cloud = cloud(link(&broker, Protocol::V5, "cloud")).await;
    let mut store = Store::new();
    store.append(Lane::Aggregates, 1000, 50).await;
    store.append(Lane::Alerts, 1, 50).await;
    let upstream = start(Settings { max_in_flight: 8, ..settings(&broker, Protocol::V5) }, &store);
    eventually(PATIENCE, || ready(cloud.lock().unwrap().messages.len() > 20)).await;
    assert_eq!(
        &*cloud.lock().unwrap().messages[0].topic,
        "b/alerts/alerts",
        "the alert that was there before us"
    );

    broker.pause();
    let queued = store.totals().queued.entries;
    assert!(queued > 100, "there is a backlog: {queued}");
    store.append(Lane::Alerts, 1, 50).await;
    broker.resume();
    store.empty().await;
    eventually(PATIENCE, || ready(cloud.lock().unwrap().seqs().len() == 1002)).await;
    let after = cloud.lock().unwrap().messages.iter().rev().position(|m| seq(&m.payload) == Some(1002));
    assert!(after.unwrap() > 50, "the alert came {after:?} before the end of the backlog");
    upstream.stop("offline".into()).await;
}

#[tokio::test]
async fn the_status_is_retained_and_said_again_after_an_outage() {
    for protocol in [Protocol::V5, Protocol::V311] {
        let mut broker = Mosquitto::start(&[]).await;
        let store = Store::new();
        let upstream = start(settings(&broker, protocol), &store);
        let handle = upstream.handle();
        handle.set_status("online".into());
        for outages in 0..2 {
            eventually(PATIENCE, || ready(handle.state().connected)).await;
            let late = cloud(link(&broker, protocol, &format!("late-{outages}"))).await;
            arrives(&late, STATUS, "online").await;
            broker.kill();
            eventually(PATIENCE, || ready(!handle.state().connected)).await;
            assert!(handle.state().last_error.is_some());
            broker.restart().await;
        }
        eventually(PATIENCE, || ready(handle.state().connected)).await;
        upstream.stop("offline".into()).await;
        arrives(&cloud(link(&broker, protocol, "last")).await, STATUS, "offline").await;
    }
}

#[tokio::test]
async fn a_full_window_does_not_swallow_the_status() {
    let broker = Mosquitto::start(&[]).await;
    let cloud = cloud(link(&broker, Protocol::V5, "cloud")).await;
    let mut store = Store::new();
    let upstream = start(settings(&broker, Protocol::V5), &store);
    eventually(PATIENCE, || ready(upstream.handle().state().connected)).await;
    broker.pause();
    store.append(Lane::Aggregates, 200, 50).await;
    upstream.handle().set_status("online".into());
    assert!(upstream.handle().try_publish_now(UnqueuedMessage {
        topic: "health".to_owned(),
        payload: "fine".into(),
        retain: false
    }));
    broker.resume();
    arrives(&cloud, STATUS, "online").await;
    arrives(&cloud, "health", "fine").await;
    upstream.stop("offline".into()).await;
}

#[tokio::test]
async fn a_stop_while_the_broker_stalls_ends_in_offline_all_the_same() {
    let broker = Mosquitto::start(&[]).await;
    let cloud = cloud(link(&broker, Protocol::V311, "cloud")).await;
    let mut store = Store::new();
    let upstream = start(settings(&broker, Protocol::V311), &store);
    upstream.handle().set_status("online".into());
    arrives(&cloud, STATUS, "online").await;
    broker.pause();
    store.append(Lane::Aggregates, 200, 50).await;
    // How long it stalls: the window fills, and has no room for `offline`.
    tokio::time::sleep(Duration::from_millis(300)).await;
    upstream.stop("offline".into()).await;
    broker.resume();
    arrives(&cloud, STATUS, "offline").await;
}

#[tokio::test]
async fn payloads_are_compressed_so_that_anybody_can_read_them() {
    let broker = Mosquitto::start(&[]).await;
    for compression in [Compression::Zlib, Compression::Zstd] {
        let cloud = cloud(link(&broker, Protocol::V5, &format!("cloud-{compression:?}"))).await;
        let mut store = Store::new();
        store.append(Lane::Aggregates, 1, 1000).await;
        let upstream = start(Settings { compression, ..settings(&broker, Protocol::V5) }, &store);
        let data = || {
            cloud
                .lock()
                .unwrap()
                .messages
                .iter()
                .find(|m| &*m.topic == "b/alerts/aggregates")
                .map(|m| m.payload.clone())
        };
        eventually(PATIENCE, || ready(data().is_some())).await;
        let payload = data().unwrap();
        assert!(payload.len() < 250, "{} bytes", payload.len());
        let mut plain = Vec::new();
        match compression {
            Compression::Zlib => {
                flate2::read::ZlibDecoder::new(&payload[..]).read_to_end(&mut plain).unwrap();
            }
            _ => plain = zstd::decode_all(&payload[..]).unwrap(),
        }
        assert!(plain.len() > 1000);
        assert_eq!(seq(&plain), Some(1));
        upstream.stop("offline".into()).await;
    }
}

#[tokio::test]
async fn what_the_broker_can_never_take_is_counted_and_stops_nothing() {
    let broker = Mosquitto::start(&["max_packet_size 500"]).await;
    let cloud = cloud(link(&broker, Protocol::V5, "cloud")).await;
    let mut store = Store::new();
    store.append(Lane::Aggregates, 1, 1000).await;
    store.append(Lane::Aggregates, 1, 10).await;
    let upstream = start(settings(&broker, Protocol::V5), &store);
    store.empty().await;
    eventually(PATIENCE, || ready(cloud.lock().unwrap().seqs() == BTreeSet::from([2]))).await;
    assert_eq!(store.totals().dropped().entries, 1);
    assert_eq!(upstream.handle().state().published, 1);
    upstream.stop("offline".into()).await;
}
