//! Brokers that violate the protocol. After each, a correct broker loses nothing.

use std::collections::BTreeSet;

use mqtt_link::{Protocol, Publisher, PublisherEvent, Session, SubmitError, Subscriber};
use testkit::mosquitto::Mosquitto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::proxy::Proxy;
use super::{BOTH, everything, message, next, options, publisher, say, up};

/// What each connection is answered: at once, or after a correct CONNACK.
fn scripts(protocol: Protocol) -> Vec<Vec<u8>> {
    let v5 = protocol == Protocol::V5;
    let connack: &[u8] = if v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    let connack_code = |code| if v5 { vec![0x20, 3, 0, code, 0] } else { vec![0x20, 2, 0, code] };
    let garbage: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let instead: Vec<Vec<u8>> = vec![
        Vec::new(),
        garbage.clone(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0x20],
        vec![0x20, 0xff, 0xff, 0xff, 0x7f],
        vec![0x20, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x20, 0],
        connack_code(5),
        connack_code(0x87),
        connack_code(0xee),
        vec![0xd0, 0],
    ];
    let after: Vec<Vec<u8>> = vec![
        Vec::new(),
        garbage,
        connack.to_vec(),
        vec![0x40, 2, 0, 0],
        vec![0x40, 2, 0x1e, 0x61],
        vec![0x40, 1, 0],
        vec![0x50, 2, 0, 1],
        vec![0x70, 2, 0, 1],
        vec![0x62, 2, 0xff, 0xff],
        vec![0x90, 3, 0, 1, 0],
        vec![0x90, 4, 0, 1, 0, 0],
        vec![0x90, 2, 0, 1],
        vec![0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1],
        vec![0x32, 7, 0, 1, b'a', 0, 0, 0, b'x'],
        vec![0x32, 6, 0, 1, b'a', 0],
        vec![0x36, 7, 0, 1, b'a', 0, 1, 0, b'x'],
        vec![0x30, 6, 0, 2, 0xff, 0xfe, 0, b'x'],
        vec![0x30, 4, 0, 9, b'a', b'b'],
        vec![0x34, 7, 0, 1, b'a', 0xff, 0xff, 0, b'x'],
        vec![0x10, 2, 0, 0],
        vec![0xc0, 0],
        vec![0xe0, 2, 0x9c, 0],
        vec![0xf0, 0],
        vec![0, 0],
    ];
    instead.into_iter().chain(after.into_iter().map(|words| [connack, &words].concat())).collect()
}

#[tokio::test]
async fn a_publisher_outlives_hostile_brokers_and_its_messages_reach_a_good_one() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let mut ears = Subscriber::start(options(&broker.url(), Protocol::V5, "ears"), everything());
        up(&mut ears).await;
        let proxy = Proxy::before(&broker, scripts(protocol)).await;
        let mut mouth = Publisher::start(options(&proxy.url, protocol, "mouth"));
        let mut unacked: BTreeSet<u64> = (1..=5).collect();
        let mut submitted = BTreeSet::new();
        while !unacked.is_empty() {
            match next(&mut mouth).await {
                PublisherEvent::Connected => {}
                PublisherEvent::Lost { reason } => {
                    assert!(!reason.is_empty());
                    submitted.clear();
                }
                PublisherEvent::Acked(token) => {
                    assert_eq!(proxy.left(), 0, "no script says that it has {token}");
                    assert!(submitted.contains(&token) && unacked.remove(&token), "{token}");
                }
                PublisherEvent::Refused { token, refusal } => panic!("{token}: {refusal:?}"),
            }
            for token in
                unacked.iter().copied().filter(|token| !submitted.contains(token)).collect::<Vec<_>>()
            {
                match mouth.try_publish(token, "a", token.to_string().into(), false) {
                    Ok(()) => drop(submitted.insert(token)),
                    Err(SubmitError::NotConnected) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let mut topics_received = BTreeSet::new();
        while topics_received.len() < 5 {
            let message = message(&mut ears).await;
            topics_received.insert(String::from_utf8(message.payload.to_vec()).unwrap());
            message.ack.send();
        }
    }
}

/// Answers pings and nothing else.
async fn answer_pings_only(listener: TcpListener) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut buffer = [0; 65_536];
        // On loopback these arrive in one read: CONNECT first, later a ping at the end.
        while let Ok(read @ 1..) = client.read(&mut buffer).await {
            let answer: &[u8] = match buffer.get(..read).unwrap() {
                [0x10, ..] => &[0x20, 3, 0, 0, 0],
                [.., 0xc0, 0] => &[0xd0, 0],
                _ => continue,
            };
            client.write_all(answer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left_after_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    tokio::spawn(answer_pings_only(listener));
    let mut with = options(&url, Protocol::V5, "mouth");
    with.keep_alive = std::time::Duration::from_secs(5);
    with.ack_timeout = std::time::Duration::from_secs(6);
    let mut mouth = Publisher::start(with);
    while next(&mut mouth).await != PublisherEvent::Connected {}
    mouth.try_publish(1, "a", "1".into(), false).unwrap();
    let PublisherEvent::Lost { reason } = next(&mut mouth).await else { panic!("it was acknowledged") };
    assert!(reason.contains("acknowledges nothing"), "{reason}");
}

#[tokio::test]
async fn a_subscriber_outlives_hostile_brokers_and_a_good_one_s_session_is_kept() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let proxy = Proxy::before(&broker, Vec::new()).await;
        let mut with = options(&proxy.url, protocol, "ears");
        with.session = Session::Persistent { expiry: std::time::Duration::from_hours(1) };
        let mut ears = Subscriber::start(with.clone(), everything());
        up(&mut ears).await;
        ears.disconnect().await;
        say(&mut publisher(&broker, "mouth").await, "a", "meanwhile").await;

        *proxy.scripts.lock().unwrap() = scripts(protocol);
        let mut ears = Subscriber::start(with, everything());
        loop {
            let message = message(&mut ears).await;
            if &message.payload[..] == b"meanwhile" {
                break;
            }
        }
        assert_eq!(proxy.left(), 0);
    }
}
