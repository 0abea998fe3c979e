//! The MQTT adapter against a real mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use adapters::mqtt::{MqttAdapter, MqttTarget, Route, Source, TopicFilter};
use gateway_core::ports::{
    Adapter, AdapterContext, AdapterError, AdapterState, Command, CommandError, Target,
};
use gateway_core::{AdapterHealth, AdapterId, CodecId, Condition, Delivery, Outcome, Timestamp, Uplink};
use mqtt_link::{Options, Protocol, Session};
use testkit::clock::ManualClock;
use testkit::mosquitto::Mosquitto;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

const PERSISTENT: &[&str] = &["persistence true", "persistence_location {dir}/"];

fn route(filter: &str, codec: u16) -> Route {
    Route {
        filter: TopicFilter::parse(filter).unwrap(),
        codec: CodecId(codec),
        names_with_slashes: false,
        server: None,
    }
}

fn zigbee2mqtt(filter: &str, codec: u16) -> Route {
    Route { names_with_slashes: true, ..route(filter, codec) }
}

/// An adapter at work, and the test in the place of the gateway.
struct Running {
    uplinks: mpsc::Receiver<Vec<Uplink>>,
    arrived: VecDeque<Uplink>,
    commands: mpsc::Sender<Command>,
    health: watch::Receiver<AdapterHealth>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Running {
    fn start(broker: &Mosquitto, routes: Vec<Route>) -> Self {
        Self::start_as(broker, Protocol::V5, routes)
    }

    fn start_as(broker: &Mosquitto, protocol: Protocol, routes: Vec<Route>) -> Self {
        let mut options = Options::new(broker.url().parse().unwrap(), "gateway-floor");
        options.protocol = protocol;
        options.session = Session::Persistent { expiry: Duration::from_hours(1) };
        options.backoff = gateway_core::Backoff::new(Duration::from_millis(20), Duration::from_millis(200));
        let (uplinks_in, uplinks) = mpsc::channel(2);
        let (commands, commands_out) = mpsc::channel(16);
        let condition = Condition::new(Arc::new(ManualClock::new(NOW)));
        let health = condition.watch();
        let stop = CancellationToken::new();
        let mut context = AdapterContext {
            uplinks: uplinks_in,
            commands: commands_out,
            condition,
            clock: Arc::new(ManualClock::new(NOW)),
            stop: stop.clone(),
        };
        let mut adapter =
            MqttAdapter::new(AdapterId::new("mqtt", "floor"), Source::Remote(Box::new(options)), routes);
        let task = tokio::spawn(async move { adapter.run(&mut context).await });
        Self { uplinks, arrived: VecDeque::new(), commands, health, stop, task }
    }

    async fn up(broker: &Mosquitto, routes: Vec<Route>) -> Self {
        let mut running = Self::start(broker, routes);
        running.is(|state| *state == AdapterState::Up).await;
        running
    }

    async fn is(&mut self, mut wanted: impl FnMut(&AdapterState) -> bool) {
        let wanted = self.health.wait_for(|health| wanted(&health.state));
        let became = tokio::time::timeout(SOON, wanted).await.is_ok();
        assert!(became, "the state stays {:?}", *self.health.borrow());
    }

    /// The next uplink.
    async fn next(&mut self) -> Uplink {
        while self.arrived.is_empty() {
            let batch = tokio::time::timeout(SOON, self.uplinks.recv()).await.expect("an uplink comes");
            self.arrived.extend(batch.unwrap());
        }
        self.arrived.pop_front().unwrap()
    }

    /// The next uplink, acknowledged.
    async fn taken(&mut self) -> Uplink {
        let mut uplink = self.next().await;
        std::mem::take(&mut uplink.ack).complete(Outcome::Taken);
        uplink
    }

    async fn command(&self, topic: &str, payload: &'static str) -> Result<(), CommandError> {
        let (done, result) = oneshot::channel();
        let target = Target::new(MqttTarget::Topic(topic.to_owned()));
        let command = Command { target, payload: payload.into(), done };
        self.commands.send(command).await.unwrap();
        tokio::time::timeout(SOON, result).await.expect("the command has a result").unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("it stops").unwrap().unwrap();
    }
}

async fn publish(broker: &Mosquitto, arguments: &[&str]) {
    let port = broker.port().to_string();
    let mut command = tokio::process::Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1"]).args(arguments);
    let status = command.status().await.expect("mosquitto_pub starts: apt-get install mosquitto-clients");
    assert!(status.success());
}

/// One message a line.
async fn publish_lines(broker: &Mosquitto, topic: &str, qos: &str, lines: String) {
    let port = broker.port().to_string();
    let mut child = tokio::process::Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", qos, "-t", topic, "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("mosquitto_pub starts: apt-get install mosquitto-clients");
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    assert!(child.wait().await.unwrap().success());
}

fn device(uplink: &Uplink) -> Option<&str> {
    uplink.device.as_ref().map(gateway_core::DeviceAddress::as_str)
}

fn again(uplink: &Uplink) -> Option<bool> {
    match uplink.delivery {
        Delivery::AtLeastOnce { again, .. } => Some(again),
        Delivery::AtMostOnce => None,
    }
}

#[tokio::test]
async fn hands_over_what_the_topic_says() {
    let broker = Mosquitto::start(&[]).await;
    let routes = vec![route("sensors/data/{device}/{metric}", 3), route("v3/+/devices/{device}/up", 4)];
    let mut adapter = Running::up(&broker, routes).await;
    publish(&broker, &["-t", "sensors/data/lounge/temperature", "-m", "21.5"]).await;
    publish(&broker, &["-t", "v3/app/devices/meter/up", "-m", "{}"]).await;
    publish(&broker, &["-t", "sensors/other", "-m", "{}"]).await;
    publish(&broker, &["-q", "0", "-t", "sensors/data/hall/humidity", "-m", "40"]).await;
    publish(&broker, &["-q", "2", "-t", "sensors/data/roof/wind", "-m", "3"]).await;

    let uplink = adapter.taken().await;
    assert_eq!(uplink.adapter.as_str(), "mqtt.floor");
    assert_eq!((device(&uplink), uplink.metric.as_deref()), (Some("lounge"), Some("temperature")));
    assert_eq!((uplink.codec, &*uplink.topic), (CodecId(3), "sensors/data/lounge/temperature"));
    assert_eq!((uplink.received_at, &uplink.payload[..]), (NOW, &b"21.5"[..]));
    assert_eq!(again(&uplink), Some(false));
    let uplink = adapter.taken().await;
    assert_eq!((device(&uplink), uplink.metric.as_deref(), uplink.codec), (Some("meter"), None, CodecId(4)));
    let uplink = adapter.taken().await;
    assert_eq!((device(&uplink), again(&uplink)), (Some("hall"), None), "QoS 0 comes once");
    let uplink = adapter.taken().await;
    assert_eq!((device(&uplink), again(&uplink)), (Some("roof"), Some(false)), "QoS 2 comes as QoS 1");
    adapter.stop().await;
}

#[tokio::test]
async fn knows_zigbee2mqtts_devices_from_its_other_topics() {
    let broker = Mosquitto::start(&[]).await;
    let mut adapter = Running::up(&broker, vec![zigbee2mqtt("zigbee2mqtt/{device}", 0)]).await;
    for topic in
        ["bridge/state", "lamp/set", "lamp/get", "kitchen/lamp/set/state", "kitchen/lamp/availability"]
    {
        publish(&broker, &["-t", &format!("zigbee2mqtt/{topic}"), "-m", "online"]).await;
    }
    publish(&broker, &["-t", "zigbee2mqtt/kitchen/lamp", "-m", "{}"]).await;
    let uplink = adapter.taken().await;
    assert_eq!(device(&uplink), Some("kitchen/lamp"));
    assert_eq!(&*uplink.topic, "zigbee2mqtt/kitchen/lamp/availability");
    let uplink = adapter.taken().await;
    assert_eq!((device(&uplink), &*uplink.topic), (Some("kitchen/lamp"), "zigbee2mqtt/kitchen/lamp"));
    adapter.stop().await;
}

#[tokio::test]
async fn a_message_that_two_filters_match_is_one_uplink() {
    let broker = Mosquitto::start(&["allow_duplicate_messages true"]).await;
    let routes = vec![route("a/+/{metric}", 0), route("a/{device}/x", 1), route("a/#", 2)];
    let mut adapter = Running::up(&broker, routes).await;
    publish(&broker, &["-t", "a/b/x", "-m", "1"]).await;
    publish(&broker, &["-t", "a/b", "-m", "2"]).await;
    let first = adapter.taken().await;
    assert_eq!((first.codec, first.metric.as_deref()), (CodecId(0), Some("x")));
    assert_eq!(adapter.taken().await.codec, CodecId(2), "and not the first one again");
    adapter.stop().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_says_so() {
    // With 3.1.1 mosquitto sends one at a time: where the second has come, the first one's acknowledgement has arrived.
    let mut broker = Mosquitto::start(&[PERSISTENT, &["max_inflight_messages 1"]].concat()).await;
    let mut adapter = Running::start_as(&broker, Protocol::V311, vec![route("s/{device}", 0)]);
    adapter.is(|state| *state == AdapterState::Up).await;
    publish(&broker, &["-t", "s/a", "-m", "1"]).await;
    publish(&broker, &["-t", "s/a", "-m", "2"]).await;
    adapter.taken().await;
    let kept = adapter.next().await;
    assert_eq!(&kept.payload[..], b"2");

    broker.restart().await;
    let once_more = adapter.taken().await;
    assert_eq!(&once_more.payload[..], b"2", "the first was acknowledged");
    let (Delivery::AtLeastOnce { key, again: false }, Delivery::AtLeastOnce { key: same, again: true }) =
        (kept.delivery, once_more.delivery)
    else {
        panic!("{:?} and {:?}", kept.delivery, once_more.delivery);
    };
    assert_eq!(key, same);
    kept.ack.complete(Outcome::Taken); // On a connection that is gone: nothing happens.
    publish(&broker, &["-t", "s/a", "-m", "3"]).await;
    assert_eq!(&adapter.taken().await.payload[..], b"3");
    adapter.stop().await;
}

#[tokio::test]
async fn what_was_published_while_the_gateway_was_away_comes_afterwards() {
    let broker = Mosquitto::start(PERSISTENT).await;
    let routes = vec![route("s/{device}", 0)];
    Running::up(&broker, routes.clone()).await.stop().await;
    publish(&broker, &["-t", "s/a", "-m", "1"]).await;
    let mut adapter = Running::start(&broker, routes);
    assert_eq!(&adapter.taken().await.payload[..], b"1");
    adapter.stop().await;
}

#[tokio::test]
async fn at_the_stop_what_was_taken_is_handed_over_and_acknowledged() {
    let broker = Mosquitto::start(PERSISTENT).await;
    let routes = vec![route("s/{device}", 0)];
    let mut adapter = Running::up(&broker, routes.clone()).await;
    publish(&broker, &["-t", "s/a", "-m", "1"]).await;
    let uplink = adapter.next().await;
    adapter.stop.cancel();
    uplink.ack.complete(Outcome::Taken);
    adapter.stop().await;

    let mut adapter = Running::up(&broker, routes).await;
    publish(&broker, &["-t", "s/a", "-m", "2"]).await;
    assert_eq!(&adapter.taken().await.payload[..], b"2", "the first does not come again");
    adapter.stop().await;
}

#[tokio::test]
async fn a_retained_message_is_taken_but_not_at_every_reconnection() {
    let mut broker = Mosquitto::start(PERSISTENT).await;
    publish(&broker, &["-r", "-t", "s/a", "-m", "old"]).await;
    let mut adapter = Running::up(&broker, vec![route("s/{device}", 0)]).await;
    assert_eq!(&adapter.taken().await.payload[..], b"old");
    broker.stop();
    adapter.is(|state| matches!(state, AdapterState::Down { .. })).await;
    broker.restart().await;
    adapter.is(|state| *state == AdapterState::Up).await;
    publish(&broker, &["-r", "-t", "s/a", "-m", "new"]).await;
    assert_eq!(&adapter.taken().await.payload[..], b"new");
    publish(&broker, &["-r", "-t", "s/a", "-m", "new"]).await;
    assert_eq!(&adapter.taken().await.payload[..], b"new", "published twice is two readings");
    adapter.stop().await;
}

#[tokio::test]
async fn commands_are_published_and_their_outcome_told() {
    let broker = Mosquitto::start(&[]).await;
    let mut adapter = Running::up(&broker, vec![route("valve/{device}/set", 0)]).await;
    assert_eq!(adapter.command("valve/1/set", "open").await, Ok(()));
    assert_eq!(&adapter.taken().await.payload[..], b"open");
    let refused = adapter.command("valve/+/set", "open").await.unwrap_err();
    assert!(matches!(refused, CommandError::Refused { .. }), "{refused}");
    assert_eq!(adapter.command("valve/1/set", "close").await, Ok(()));
    adapter.stop().await;
}

#[tokio::test]
async fn a_command_without_a_connection_is_told_at_once() {
    let mut broker = Mosquitto::start(&[]).await;
    let mut adapter = Running::up(&broker, vec![route("valve/{device}/set", 0)]).await;
    broker.kill();
    adapter.is(|state| matches!(state, AdapterState::Down { .. })).await;
    for _ in 0..2 {
        let error = adapter.command("valve/1/set", "open").await.unwrap_err();
        assert!(matches!(error, CommandError::NotConnected { .. }), "{error}");
    }
    broker.restart().await;
    adapter.is(|state| *state == AdapterState::Up).await;
    while adapter.command("valve/1/set", "open").await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    adapter.stop().await;
}

#[tokio::test]
async fn a_pipeline_that_stands_still_holds_the_broker_back() {
    const MESSAGES: usize = 5_000;
    let broker = Mosquitto::start(&["max_queued_messages 100000"]).await;
    let mut adapter = Running::up(&broker, vec![route("s/{device}", 0)]).await;
    let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
    publish_lines(&broker, "s/a", "1", lines).await;
    // Nobody took one so far: two batches in the channel, one in the adapter's hands, 128 before it; the rest waits.
    let mut seen = Vec::new();
    let mut most = 0;
    while seen.len() < MESSAGES {
        let batch = tokio::time::timeout(SOON, adapter.uplinks.recv()).await.expect("more comes").unwrap();
        most = most.max(batch.len());
        for uplink in batch {
            seen.push(std::str::from_utf8(&uplink.payload).unwrap().parse::<usize>().unwrap());
            uplink.ack.complete(Outcome::Taken);
        }
    }
    assert!(most <= 256, "{most} in one batch");
    assert!(seen.into_iter().eq(0..MESSAGES), "each once and in order");
    adapter.stop().await;
}

#[tokio::test]
async fn ends_with_an_error_where_the_pipeline_is_gone() {
    let broker = Mosquitto::start(&[]).await;
    let adapter = Running::up(&broker, vec![route("s/{device}", 0)]).await;
    drop(adapter.uplinks);
    publish(&broker, &["-t", "s/a", "-m", "1"]).await;
    let error = tokio::time::timeout(SOON, adapter.task).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("pipeline"), "{error}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_pipeline_that_takes_nothing_and_the_broker_keeps_the_messages() {
    let broker = Mosquitto::start(PERSISTENT).await;
    let routes = vec![route("s/{device}", 0)];
    let adapter = Running::up(&broker, routes.clone()).await;
    // Room for two batches; the third waits.
    for payload in ["1", "2", "3", "4"] {
        publish(&broker, &["-t", "s/a", "-m", payload]).await;
        tokio::time::timeout(SOON, async {
            while adapter.uplinks.capacity() > 0 && adapter.uplinks.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it is handed over");
    }
    let Running { uplinks, stop, task, .. } = adapter;
    stop.cancel();
    tokio::time::timeout(SOON, task).await.expect("it stops").unwrap().unwrap();
    drop(uplinks);

    let mut adapter = Running::up(&broker, routes).await;
    for payload in ["1", "2", "3", "4"] {
        assert_eq!(&adapter.taken().await.payload[..], payload.as_bytes());
    }
    adapter.stop().await;
}
