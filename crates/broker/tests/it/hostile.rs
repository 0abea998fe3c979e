//! Hostile clients: the broker keeps running and serves the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crate::common::{eventually, free, port, publish, settings, start, works};
use broker::Tap;
use bytes::{BufMut, BytesMut};
use gateway_core::ports::LocalBroker as _;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// CONNECT of MQTT 3.1.1, clean session, client id `x`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Whether the other side closes the connection; ignores what it sends before.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1024];
    let end = async { while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(Duration::from_secs(20), end).await.is_ok()
}

#[tokio::test]
async fn garbage_ends_the_connection_that_it_came_on() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
        let mut stream = connect(port).await;
        stream.write_all(garbage).await.unwrap();
        assert!(is_closed(&mut stream).await, "{garbage:?}");
    }
    assert!(works(port).await);
    broker.stop().await;
}

#[tokio::test]
async fn a_packet_that_is_too_large_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.limits.max_packet_size = 262_144;
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let file = folder.path().join("payload");
    let send = async |bytes: usize| {
        std::fs::write(&file, vec![b'x'; bytes]).unwrap();
        let file = file.to_str().unwrap();
        publish(port, &["-V", "mqttv311", "-q", "1", "-t", "big", "-f", file]).await.status.success()
    };
    assert!(send(200_000).await, "below the limit it is");
    // Before the CONNECT, too, and without waiting for its bytes.
    let mut stream = connect(port).await;
    stream.write_all(&[0x10, 0x80, 0x80, 0x40]).await.unwrap();
    assert!(is_closed(&mut stream).await);
    let mut stream = connect(port).await;
    stream.write_all(CONNECT).await.unwrap();
    stream.write_all(&[0x30, 0x80, 0x80, 0x40, 0, 1, b'a']).await.unwrap();
    assert!(is_closed(&mut stream).await);
    assert!(works(port).await);
    broker.stop().await;
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.limits.max_clients = 300;
    settings.limits.connect_timeout = Duration::from_secs(2);
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let mut crowd = Vec::new();
    for _ in 0..1_000 {
        crowd.push(connect(port).await);
    }
    // Connections beyond max_clients are closed at once, the others when the time limit for the CONNECT is over.
    eventually(async || works(port).await).await;
    assert!(is_closed(&mut crowd[0]).await);
    assert!(is_closed(&mut crowd[999]).await);
    broker.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_after_its_keep_alive_and_what_it_held_is_free() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.limits.max_queue_size = 1 << 20;
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let mut deaf = connect(port).await;
    // As CONNECT, with a keep-alive of one second; then SUBSCRIBE to `a`.
    let mut hello = CONNECT.to_vec();
    hello[11] = 1;
    deaf.write_all(&hello).await.unwrap();
    deaf.write_all(b"\x82\x06\x00\x01\x00\x01a\x00").await.unwrap();
    eventually(async || broker.stats().subscriptions == 1).await;
    for _ in 0..400 {
        broker.local().publish("a", vec![b'x'; 100_000].into());
    }
    let held = broker.stats();
    assert!(held.queued_bytes <= (1 << 20) + 100_000 && held.dropped.queue_full > 100, "{held:?}");
    eventually(async || broker.stats().connected == 0).await;
    assert_eq!(broker.stats().queued_bytes, 0);
    broker.stop().await;
}

#[tokio::test]
async fn a_stalled_websocket_handshake_delays_no_other_client() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "websocket");
    let mut stalled = connect(port).await;
    stalled.write_all(b"GET /mqtt HTTP/1.1\r\n").await.unwrap();
    let mut upgraded = connect(port).await;
    let request = "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    upgraded.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(5), upgraded.read_exact(&mut answer));
    read.await.expect("is served while the other one stalls").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    broker.stop().await;
}

fn packet(first: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u8(first);
    let mut length = body.len();
    loop {
        let more = length >= 128;
        bytes.put_u8(u8::try_from(length % 128).unwrap() | if more { 128 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    bytes.put_slice(body);
    bytes
}

#[test]
fn no_packet_of_random_bytes_panics_in_the_broker() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let broker = runtime.block_on(start(settings(folder.path()), Tap::default())).unwrap();
    let port = port(&broker, "mqtt");
    // A panic in a connection's task would go unnoticed: count them.
    static PANICS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        before(info);
    }));
    let version = prop_oneof![Just(4_u8), Just(5_u8)];
    let packets =
        proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 1..4);
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(version in version, packets in packets)| {
        runtime.block_on(async {
            let mut stream = connect(port).await;
            let mut hello = CONNECT.to_vec();
            hello[8] = version;
            if version == 5 {
                hello.insert(12, 0);
                hello[1] += 1;
            }
            stream.write_all(&hello).await.unwrap();
            for (first, body) in &packets {
                // The broker may have closed already.
                let _ = stream.write_all(&packet(*first, body)).await;
            }
            let _ = stream.shutdown().await;
            is_closed(&mut stream).await;
        });
        prop_assert_eq!(PANICS.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
    assert!(runtime.block_on(works(port)));
    runtime.block_on(broker.stop());
}

const PINGREQ: &[u8] = b"\xC0\x00";

/// What could not be sent to a connection that died is nobody else's.
#[tokio::test]
async fn a_connection_gets_no_bytes_of_one_that_died() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let mut quiet = connect(port).await;
    quiet.write_all(CONNECT).await.unwrap();
    let mut connack = [0; 4];
    quiet.read_exact(&mut connack).await.unwrap();
    for _ in 0..200 {
        let mut dying = connect(port).await;
        dying
            .write_all(
                &CONNECT.iter().map(|byte| if *byte == b'x' { b'y' } else { *byte }).collect::<Vec<_>>(),
            )
            .await
            .unwrap();
        dying.read_exact(&mut connack).await.unwrap();
        dying.set_zero_linger().unwrap();
        dying.write_all(&PINGREQ.repeat(50)).await.unwrap();
        // With RST: what the broker answers cannot be sent.
        drop(dying);
        quiet.write_all(PINGREQ).await.unwrap();
        let mut answer = [0; 2];
        quiet.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0xD0, 0]);
    }
    let more = tokio::time::timeout(Duration::from_millis(200), quiet.read(&mut connack)).await;
    assert!(more.is_err(), "{more:?}");
    broker.stop().await;
}

/// More messages in one write than may be on their way at once: those that wait are handled without another packet.
#[tokio::test]
async fn many_messages_in_one_write_are_all_acknowledged() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let mut client = connect(port(&broker, "mqtt")).await;
    client.write_all(CONNECT).await.unwrap();
    let mut answers = vec![0; 4];
    client.read_exact(&mut answers).await.unwrap();
    answers.clear();
    let mut packets = Vec::new();
    for id in 1..=2_000_u16 {
        packets.extend_from_slice(b"\x33\x0a\x00\x01r");
        packets.extend_from_slice(&id.to_be_bytes());
        packets.extend_from_slice(&format!("{id:05}").into_bytes());
    }
    client.write_all(&packets).await.unwrap();
    while answers.len() < 2_000 * 4 {
        let read = tokio::time::timeout(Duration::from_secs(10), client.read_buf(&mut answers)).await;
        assert!(read.expect("the rest is acknowledged, too").unwrap() > 0);
    }
    broker.stop().await;
}

/// Or two clients could keep everybody's large packets away for good.
#[tokio::test]
async fn a_large_packet_that_does_not_come_whole_is_given_up() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.limits.max_memory = 4 << 20;
    settings.limits.packet_timeout = Duration::from_millis(500);
    let broker = start(settings, Tap::default()).await.unwrap();
    let mut client = connect(port(&broker, "mqtt")).await;
    client.write_all(CONNECT).await.unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    // PUBLISH of 800 kB, of which 100 kB come, then a byte from time to time.
    let mut begun = b"\x30\x80\xEA\x30\x00\x01a".to_vec();
    begun.resize(100_000, 0);
    client.write_all(&begun).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            tokio::select! {
                end = client.read_u8() => break end,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            if client.write_all(b"x").await.is_err() {
                break Ok(0);
            }
        }
    });
    assert!(end.await.is_ok(), "the connection is closed");
    assert!(works(port(&broker, "mqtt")).await);
    broker.stop().await;
}
