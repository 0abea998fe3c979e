//! Bridges to a real mosquitto: both ways, over losses and restarts on both sides.

use std::path::Path;
use std::time::Duration;

use broker::config::{Bridge, BridgeTopic, Direction};
use broker::{BridgeSettings, Broker, Settings, Tap};
use gateway_core::AdapterId;
use gateway_core::Outcome;
use gateway_core::ports::LocalBroker as _;
use mqtt_link::Protocol;
use tempfile::TempDir;
use testkit::mosquitto::Mosquitto;

use crate::common::{
    condition, eventually, port, publish, publish_lines, said, settings, start, stdout, subscribe, subscriber,
};

fn topic(filter: &str, direction: Direction, local: &str, remote: &str) -> BridgeTopic {
    BridgeTopic {
        filter: filter.to_owned(),
        direction,
        local_prefix: local.to_owned(),
        remote_prefix: remote.to_owned(),
    }
}

/// A broker in `folder` with a bridge to `there`.
fn bridged(folder: &Path, there: &Mosquitto, protocol: Protocol, topics: &[BridgeTopic]) -> Settings {
    let bridge = Bridge { url: there.url(), protocol, topics: topics.to_vec(), ..Bridge::default() };
    let mut settings = settings(&folder.join("broker"));
    settings.bridges = vec![BridgeSettings::new("campus", &bridge, "hq").unwrap()];
    settings
}

/// Waits until the bridge says that it is connected, or is not.
async fn state(broker: &Broker, wanted: &str) {
    let port = port(broker, "mqtt");
    let topic = "$SYS/broker/connection/riser-hq-campus/state";
    eventually(async || {
        stdout(&subscribe(port, &["-t", topic, "-C", "1", "-W", "1"]).await) == format!("{wanted}\n")
    })
    .await;
}

async fn heard(child: tokio::process::Child) -> Vec<String> {
    let output = child.wait_with_output().await.unwrap();
    stdout(&output).lines().map(str::to_owned).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn everything_both_ways_comes_once_and_keeps_its_retain_flag() {
    let folder = TempDir::new().unwrap();
    let there = Mosquitto::start(&[]).await;
    let broker = start(
        bridged(folder.path(), &there, Protocol::V5, &[topic("#", Direction::Both, "", "")]),
        Tap::default(),
    )
    .await
    .unwrap();
    state(&broker, "1").await;
    let (here, there) = (port(&broker, "mqtt"), there.port());
    for (from, to) in [(here, there), (there, here)] {
        let listening = subscriber(to, &["-q", "1", "-t", "once/#", "-C", "30", "-W", "10"]);
        let own = subscriber(from, &["-q", "1", "-t", "once/#", "-W", "4"]);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let lines = numbers(0..30).join("\n");
        publish_lines(from, &["-q", "1", "-t", "once/x"], &lines).await;
        assert_eq!(heard(listening).await, numbers(0..30));
        assert_eq!(heard(own).await, numbers(0..30), "nothing comes back");
        let kept = format!("kept/{from}");
        publish(from, &["-q", "1", "-r", "-t", &kept, "-m", "value"]).await;
        eventually(async || stdout(&subscribe(to, &["-t", &kept, "-C", "1", "-W", "1"]).await) == "value\n")
            .await;
        publish(from, &["-q", "1", "-r", "-t", &kept, "-n"]).await;
        eventually(async || stdout(&subscribe(to, &["-t", &kept, "-C", "1", "-W", "1"]).await).is_empty())
            .await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn what_is_published_while_one_side_is_away_arrives_when_it_is_back() {
    let folder = TempDir::new().unwrap();
    let mut there =
        Mosquitto::start(&["persistence true", "persistence_location {dir}/", "autosave_interval 1"]).await;
    let topics =
        [topic("up/#", Direction::Out, "", "hq/"), topic("down/#", Direction::In, "from/campus/", "hq/")];
    let settings = bridged(folder.path(), &there, Protocol::V5, &topics);
    let broker = start(settings.clone(), Tap::default()).await.unwrap();
    state(&broker, "1").await;

    // The other broker is away, and this one starts again in between.
    there.stop();
    state(&broker, "0").await;
    publish_lines(port(&broker, "mqtt"), &["-q", "1", "-t", "up/x"], &numbers(0..50).join("\n")).await;
    broker.stop().await;
    let broker = start(settings.clone(), Tap::default()).await.unwrap();
    publish_lines(port(&broker, "mqtt"), &["-q", "1", "-t", "up/x"], &numbers(50..100).join("\n")).await;
    there.restart().await;
    let listening = subscriber(there.port(), &["-q", "1", "-t", "hq/up/x", "-C", "100", "-W", "30"]);
    assert_eq!(heard(listening).await, numbers(0..100));

    // This one is away.
    state(&broker, "1").await;
    broker.stop().await;
    publish_lines(there.port(), &["-q", "1", "-t", "hq/down/x"], &numbers(0..100).join("\n")).await;
    let mut settings = settings;
    settings.listen = Some(([127, 0, 0, 1], testkit::mosquitto::free_port()).into());
    let address = settings.listen.unwrap();
    // There before the bridge connects: the messages that waited come at once.
    let reader = ["-q", "1", "-t", "from/campus/down/x", "-c", "-i", "reader"];
    let unbridged = Settings { bridges: Vec::new(), ..settings.clone() };
    let broker = start(unbridged, Tap::default()).await.unwrap();
    subscribe(address.port(), &[&reader[..], &["-E"]].concat()).await;
    broker.stop().await;
    let broker = start(settings, Tap::default()).await.unwrap();
    let listening = subscriber(address.port(), &[&reader[..], &["-C", "100", "-W", "30"]].concat());
    assert_eq!(heard(listening).await, numbers(0..100));
    broker.stop().await;
}

#[tokio::test]
async fn mqtt_3_1_1_bridges_what_does_not_come_back() {
    let folder = TempDir::new().unwrap();
    let there = Mosquitto::start(&[]).await;
    let topics = [topic("up/#", Direction::Out, "", ""), topic("", Direction::In, "here", "there")];
    let broker =
        start(bridged(folder.path(), &there, Protocol::V311, &topics), Tap::default()).await.unwrap();
    state(&broker, "1").await;
    let listening = subscriber(there.port(), &["-q", "1", "-t", "up/#", "-C", "1", "-W", "10"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    publish(port(&broker, "mqtt"), &["-q", "1", "-t", "up/x", "-m", "1"]).await;
    assert_eq!(heard(listening).await, ["1"]);
    publish(there.port(), &["-q", "1", "-t", "there", "-r", "-m", "2"]).await;
    eventually(async || broker.stats().publish_received > 1).await;
    broker.stop().await;
}

#[tokio::test]
async fn what_the_other_broker_refuses_is_counted_and_holds_nothing_up() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("acl"), "topic readwrite allowed/#\n").unwrap();
    let acl = format!("acl_file {}", folder.path().join("acl").display());
    let there = Mosquitto::start(&[&acl, "max_packet_size 2000"]).await;
    let broker = start(
        bridged(folder.path(), &there, Protocol::V5, &[topic("#", Direction::Out, "", "")]),
        Tap::default(),
    )
    .await
    .unwrap();
    state(&broker, "1").await;
    let listening = subscriber(there.port(), &["-q", "1", "-t", "allowed/x", "-C", "1", "-W", "10"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let here = port(&broker, "mqtt");
    publish_lines(here, &["-q", "1", "-t", "forbidden/x"], &numbers(0..100).join("\n")).await;
    publish(here, &["-q", "1", "-t", "allowed/x", "-m", &"x".repeat(3_000)]).await;
    publish(here, &["-q", "1", "-t", "allowed/x", "-m", "1"]).await;
    assert_eq!(heard(listening).await, ["1"]);
    assert_eq!(broker.stats().dropped.bridge_refused, 101);
    broker.stop().await;
}

/// The other broker hears of a message's arrival when the adapter has it, and not before.
#[tokio::test]
async fn a_message_that_an_adapter_does_not_take_comes_again() {
    let folder = TempDir::new().unwrap();
    let there = Mosquitto::start(&[]).await;
    let adapter = AdapterId::new("mqtt", "floor");
    let tap = Tap::default();
    tap.set_subscriptions([(adapter.clone(), vec!["sensors/#".to_owned()])]);
    let topics = [topic("sensors/#", Direction::In, "", "")];
    let settings = bridged(folder.path(), &there, Protocol::V5, &topics);
    let condition = condition();
    let broker = Broker::start(settings, tap, condition.clone(), crate::common::clock()).await.unwrap();
    let mut messages = broker.local().attach(&adapter);
    state(&broker, "1").await;
    let health = condition.watch().borrow().clone();
    assert_eq!(health.parts.get("bridge campus").map(|part| part.state), Some("up"));
    let sent = publish(there.port(), &["-q", "1", "-t", "sensors/a", "-m", "21"]).await;
    assert!(sent.status.success(), "{}", said(&sent));
    for is_taken in [false, true] {
        let message = tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap().unwrap();
        assert_eq!((&*message.topic, &message.payload[..]), ("sensors/a", &b"21"[..]));
        if is_taken {
            message.ack.complete(Outcome::Taken);
        }
    }
    // Acknowledged now: it does not come a third time.
    let third = tokio::time::timeout(Duration::from_secs(7), messages.recv()).await;
    assert!(third.is_err());
    broker.stop().await;
}
