//! The tap as clients see it: no PUBACK before the outcome, none without it, and no client waits for another.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crate::common::{eventually, port, publish, publish_lines, said, settings, start, subscriber, works};
use broker::{Broker, Tap};
use gateway_core::ports::{LocalBroker, LocalMessage};
use gateway_core::{AdapterId, Outcome};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, EventLoop, Incoming, MqttOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::sync::mpsc;

struct Fixture {
    broker: Broker,
    messages: mpsc::Receiver<LocalMessage>,
    port: u16,
    _folder: TempDir,
}

fn floor() -> AdapterId {
    AdapterId::new("mqtt", "floor")
}

/// A broker with an adapter that subscribes to `s/…`; the test acts as the adapter.
async fn fixture() -> Fixture {
    let folder = TempDir::new().unwrap();
    let tap = Tap::default();
    tap.set_subscriptions([(floor(), vec!["s/#".to_owned()])]);
    let broker = start(settings(folder.path()), tap.clone()).await.unwrap();
    let (messages, port) = (broker.local().attach(&floor()), port(&broker, "mqtt"));
    Fixture { broker, messages, port, _folder: folder }
}

async fn next(messages: &mut mpsc::Receiver<LocalMessage>) -> LocalMessage {
    tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.expect("a message comes").unwrap()
}

#[tokio::test]
async fn a_client_is_acknowledged_at_the_outcome_and_no_other_client_waits() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    for (version, qos) in [("mqttv5", "1"), ("mqttv311", "1"), ("mqttv5", "2"), ("mqttv311", "2")] {
        let held = tokio::spawn(async move {
            publish(port, &["-V", version, "-q", qos, "-t", "s/held", "-m", "1"]).await.status.success()
        });
        let LocalMessage { topic, payload, ack, .. } = next(&mut messages).await;
        assert_eq!((&*topic, &payload[..]), ("s/held", &b"1"[..]));

        // Another client's messages are delivered meanwhile, to the adapter or not.
        assert!(works(port).await);
        let arguments = ["-q", "1", "-t", "s/other", "-m", "2"];
        let (other, ()) = tokio::join!(publish(port, &arguments), async {
            next(&mut messages).await.ack.complete(Outcome::Taken);
        });
        assert!(other.status.success(), "{}", said(&other));
        assert!(!held.is_finished(), "{version}, QoS {qos}: acknowledged before the outcome");

        ack.complete(Outcome::Taken);
        assert!(held.await.unwrap(), "{version}, QoS {qos}");
    }
    broker.stop().await;
}

/// A client that keeps its session and sends again what was not acknowledged.
fn stubborn(port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("stubborn", "127.0.0.1", port);
    options.set_clean_start(false).set_session_expiry_interval(Some(3600));
    AsyncClient::new(options, 10)
}

/// Polls, over as many connections as it takes, until two messages are acknowledged; returns how often it connected.
async fn until_acknowledged(mut events: EventLoop, count: usize) -> usize {
    let (mut connections, mut acknowledged) = (0, 0);
    while acknowledged < count {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => connections += 1,
            Ok(Event::Incoming(Incoming::PubAck(_))) => acknowledged += 1,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    connections
}

#[tokio::test]
async fn what_is_given_up_is_not_acknowledged_and_comes_again() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    let (client, events) = stubborn(port);
    for payload in ["1", "2"] {
        client.publish("s/a", QoS::AtLeastOnce, false, payload).await.unwrap();
    }
    let sending = tokio::spawn(until_acknowledged(events, 2));
    let mut given_up = next(&mut messages).await;
    assert_eq!(&given_up.payload[..], b"1");
    drop(std::mem::take(&mut given_up.ack));
    // The second one may be in the queue already; both come again.
    let mut again = Vec::new();
    while !again.ends_with(&[b"1"[..].into(), b"2"[..].into()]) {
        let message = next(&mut messages).await;
        again.push(message.payload.clone());
        message.ack.complete(Outcome::Taken);
    }
    assert_eq!(sending.await.unwrap(), 2, "connections");
    broker.stop().await;
}

/// A client that is cut off before it sees the PUBACK, in either version, and sends again what it sent.
#[tokio::test]
async fn what_a_client_sends_again_says_so_under_the_same_packet_id() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    for (version, properties) in [(5_u8, &[0_u8][..]), (4, &[])] {
        let connect = [&[0, 4][..], b"MQTT", &[version, 0, 0, 60], properties, &[0, 3], b"cut"].concat();
        let publish = [&[0, 3][..], b"s/a", &[0x12, 0x34], properties, b"21"].concat();
        for dup in [false, true] {
            let mut client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            for (first, body) in [(0x10, &connect), (0x32 | (u8::from(dup) << 3), &publish)] {
                let length = u8::try_from(body.len()).unwrap();
                client.write_all(&[&[first, length][..], body].concat()).await.unwrap();
            }
            let message = next(&mut messages).await;
            let origin = message.origin.expect("it is QoS 1");
            assert_eq!((&*origin.client, origin.packet_id, origin.again), ("cut", 0x1234, dup));
            drop(client);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_adapter_that_starts_again_gets_what_was_published_meanwhile() {
    let Fixture { broker, messages, port, .. } = fixture().await;
    drop(messages);
    let waiting =
        tokio::spawn(
            async move { publish(port, &["-q", "1", "-t", "s/a", "-m", "1"]).await.status.success() },
        );
    assert!(works(port).await);
    assert!(!waiting.is_finished());
    next(&mut broker.local().attach(&floor())).await.ack.complete(Outcome::Taken);
    assert!(waiting.await.unwrap());
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_while_a_message_is_held_is_quick_and_acknowledges_nothing() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    let (client, mut events) = stubborn(port);
    client.publish("s/a", QoS::AtLeastOnce, false, "1").await.unwrap();
    let sending = tokio::spawn(async move {
        let mut acknowledged = false;
        while let Ok(event) = events.poll().await {
            acknowledged |= matches!(event, Event::Incoming(Incoming::PubAck(_)));
        }
        acknowledged
    });
    let held = next(&mut messages).await;
    tokio::time::timeout(Duration::from_secs(2), broker.stop())
        .await
        .expect("it does not wait for the outcome");
    held.ack.complete(Outcome::Taken);
    assert!(!sending.await.unwrap());
}

#[tokio::test]
async fn a_burst_that_outruns_the_gateway_is_held_back_and_not_dropped() {
    const MESSAGES: usize = 3_000;
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
    let sending = tokio::spawn(async move { publish_lines(port, &["-q", "1", "-t", "s/a"], &lines).await });
    for number in 0..MESSAGES {
        let message = next(&mut messages).await;
        assert_eq!(message.payload, number.to_string(), "each once and in order");
        assert!(messages.len() < 64, "a client has no more than its window");
        message.ack.complete(Outcome::Taken);
    }
    assert!(sending.await.unwrap().status.success());
    broker.stop().await;
}

#[tokio::test]
async fn a_last_will_is_delivered_too() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    let will = ["-t", "quiet", "--will-topic", "s/gone", "--will-payload", "bye", "-W", "20"];
    let mut dying = subscriber(port, &will);
    eventually(async || {
        // It has subscribed once a message reaches it.
        publish(port, &["-t", "quiet", "-m", "1"]).await;
        let mut first = [0];
        let read = tokio::io::AsyncReadExt::read(dying.stdout.as_mut().unwrap(), &mut first);
        tokio::time::timeout(Duration::from_millis(200), read).await.is_ok_and(|read| read.unwrap() == 1)
    })
    .await;
    dying.start_kill().unwrap();
    let message = next(&mut messages).await;
    assert_eq!((&*message.topic, &message.payload[..]), ("s/gone", &b"bye"[..]));
    broker.stop().await;
}

/// Many clients do not count what is on its way: at QoS 1 they are read more slowly, and not cut off.
#[tokio::test]
async fn a_client_that_ignores_receive_maximum_is_held_back_and_loses_nothing() {
    let Fixture { broker, mut messages, port, .. } = fixture().await;
    let mut client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.write_all(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x").await.unwrap();
    let mut connack = [0; 256];
    let length = client.read(&mut connack).await.unwrap();
    assert!(length > 4 && connack[0] == 0x20 && connack[3] == 0, "{:?}", &connack[..length]);
    let mut packets = Vec::new();
    for id in 1..=200_u16 {
        packets.extend_from_slice(b"\x32\x09\x00\x03s/a");
        packets.extend_from_slice(&id.to_be_bytes());
        packets.extend_from_slice(b"\x001");
    }
    client.write_all(&packets).await.unwrap();
    // As many as Receive Maximum allows, and no more before one is taken.
    let mut held = Vec::new();
    while let Ok(message) = tokio::time::timeout(Duration::from_millis(500), messages.recv()).await {
        held.push(message.unwrap());
    }
    assert!((64..200).contains(&held.len()), "{}", held.len());
    let taking = tokio::spawn(async move {
        let mut taken = 0;
        for message in held {
            message.ack.complete(Outcome::Taken);
            taken += 1;
        }
        while taken < 200 {
            next(&mut messages).await.ack.complete(Outcome::Taken);
            taken += 1;
        }
    });
    let mut pubacks = Vec::new();
    while pubacks.len() < 200 * 4 {
        let read = tokio::time::timeout(Duration::from_secs(20), client.read_buf(&mut pubacks)).await;
        assert!(read.unwrap().unwrap() > 0, "the connection was cut");
    }
    let ids: Vec<u16> = pubacks.chunks(4).map(|one| u16::from_be_bytes([one[2], one[3]])).collect();
    assert_eq!(ids, (1..=200).collect::<Vec<u16>>());
    taking.await.unwrap();
    broker.stop().await;
}
