//! Packets, WebSocket messages and CONNECTs that do not come whole: they take nobody else's memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::{eventually, free, port, publish, said, settings, start, user, works};
use broker::Tap;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What begins a WebSocket.
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// CONNECT of MQTT 3.1.1, clean session; with a user, the password is the user's name.
fn connect_packet(id: &str, user: Option<&str>) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04".to_vec();
    body.push(if user.is_some() { 0xC2 } else { 2 });
    body.extend([0, 60]);
    for text in [Some(id), user, user].into_iter().flatten() {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// The beginning of a PUBLISH of 800 kB: `bytes` of it.
fn begun(bytes: usize) -> Vec<u8> {
    let mut begun = b"\x30\x80\xEA\x30\x00\x01a".to_vec();
    begun.resize(bytes, 0);
    begun
}

async fn logged_in(port: u16, id: &str, user: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(&connect_packet(id, user)).await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, *b"\x20\x02\x00\x00");
    stream
}

/// A client frame of the first `length` bytes of a message, of which `bytes` come; the mask is zero.
fn frame(length: u64, bytes: &[u8]) -> Vec<u8> {
    [&[0x82, 0xFF], &length.to_be_bytes()[..], &[0; 4], bytes].concat()
}

async fn websocket(port: u16, id: &str, user: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(UPGRADE).await.unwrap();
    let mut answer = vec![0; 1_000];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    let packet = connect_packet(id, user);
    stream.write_all(&frame(packet.len() as u64, &packet)).await.unwrap();
    let mut connack = [0; 6];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, *b"\x82\x04\x20\x02\x00\x00");
    stream
}

fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_user_who_always_begins_large_packets_anew_keeps_no_other_user_out() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    settings.limits.max_memory = 4 << 20;
    settings.anonymous = false;
    settings.users = ["greedy", "other"].map(|name| user(name, name, &["#"], &["#"])).to_vec();
    let broker = start(settings, Tap::default()).await.unwrap();
    let (tcp, web) = (port(&broker, "mqtt"), port(&broker, "websocket"));
    let file = folder.path().join("payload");
    std::fs::write(&file, vec![b'x'; 300_000]).unwrap();
    let greedy = async {
        let mut open = Vec::new();
        for number in 0.. {
            let id = format!("greedy-{}", number % 8);
            let mut stream = match number % 2 {
                0 => logged_in(tcp, &id, Some("greedy")).await,
                _ => websocket(web, &id, Some("greedy")).await,
            };
            let bytes = if number % 2 == 0 { begun(100_000) } else { frame(2 << 20, &vec![0; 400_000]) };
            let _ = stream.write_all(&bytes).await;
            open.push(stream);
            open.retain(is_open);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let others = async {
        for _ in 0..10 {
            let file = file.to_str().unwrap();
            let arguments = ["-u", "other", "-P", "other", "-q", "1", "-t", "big", "-f", file];
            let sent = tokio::time::timeout(Duration::from_secs(20), publish(tcp, &arguments)).await.unwrap();
            assert!(sent.status.success(), "{}", said(&sent));
        }
        assert_eq!(broker.stats().publish_received, 10);
    };
    tokio::select! {
        () = greedy => {}
        () = others => {}
    }
    broker.stop().await;
}

#[tokio::test]
async fn large_packets_and_websocket_messages_that_never_come_whole_share_one_bound() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    settings.limits.max_memory = 4 << 20;
    let broker = start(settings, Tap::default()).await.unwrap();
    // A fourth of 4 MiB is room for one packet, or for two messages.
    for (protocol, most) in [("mqtt", 1), ("websocket", 2)] {
        let port = port(&broker, protocol);
        let mut open = Vec::new();
        for number in 0..10 {
            let (id, is_plain) = (format!("{protocol}-{number}"), protocol == "mqtt");
            let mut stream = match is_plain {
                true => logged_in(port, &id, None).await,
                false => websocket(port, &id, None).await,
            };
            let bytes = if is_plain { begun(100_000) } else { frame(2 << 20, &vec![0; 400_000]) };
            let _ = stream.write_all(&bytes).await;
            open.push(stream);
        }
        eventually(async || {
            open.retain(is_open);
            open.len() <= most
        })
        .await;
        drop(open);
        eventually(async || broker.stats().connected == 0).await;
    }
    assert!(works(port(&broker, "mqtt")).await);
    broker.stop().await;
}

#[tokio::test]
async fn a_websocket_message_that_never_comes_whole_is_given_up() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    settings.limits.packet_timeout = Duration::from_millis(500);
    let broker = start(settings, Tap::default()).await.unwrap();
    let mut stream = websocket(port(&broker, "websocket"), "web", None).await;
    stream.write_all(&frame(2 << 20, &vec![0; 400_000])).await.unwrap();
    // A byte from time to time does not keep it.
    eventually(async || {
        let _ = stream.try_write(b"x");
        broker.stats().connected == 0
    })
    .await;
    broker.stop().await;
}

#[tokio::test]
async fn large_packets_one_after_the_other_have_their_time_each() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    settings.limits.packet_timeout = Duration::from_secs(2);
    let broker = start(settings, Tap::default()).await.unwrap();
    let mut stream = websocket(port(&broker, "websocket"), "web", None).await;
    // No packet ends with a message, so that there is always one that is not whole.
    let mut whole = begun(800_004);
    whole[1..4].copy_from_slice(b"\x80\xEA\x30");
    let mut bytes: Vec<u8> = whole.iter().copied().cycle().take(8 * 800_004).collect();
    let middle = bytes.split_off(400_000);
    stream.write_all(&frame(400_000, &bytes)).await.unwrap();
    for message in middle.chunks(800_004) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stream.write_all(&frame(message.len() as u64, message)).await.unwrap();
    }
    eventually(async || broker.stats().publish_received == 8).await;
    assert!(is_open(&stream));
    broker.stop().await;
}

#[tokio::test]
async fn connects_that_do_not_come_whole_share_a_bound_and_harm_their_own_address_only() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.limits.max_connect_memory = 1 << 20;
    settings.limits.connect_timeout = Duration::from_mins(5);
    let broker = start(settings, Tap::default()).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port(&broker, "mqtt")));
    // CONNECT of 200 kB, of which 60 kB come.
    let half = [&b"\x10\xC0\x9A\x0C\x00\x04MQTT\x04\x02\x00\x3c"[..], &vec![b'x'; 60_000]].concat();
    let mut open = Vec::new();
    for _ in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let _ = stream.write_all(&half).await;
        open.push(stream);
    }
    // 60 kB are in a buffer of 64 KiB.
    eventually(async || {
        open.retain(is_open);
        open.len() <= 16
    })
    .await;
    assert!(!open.is_empty());
    // A user name of 60,000 bytes: as large, and from another address.
    let mut body = b"\x00\x04MQTT\x04\x82\x00\x3c\x00\x01y\xEA\x60".to_vec();
    body.extend(vec![b'u'; 60_000]);
    let mut whole = TcpStream::connect(address).await.unwrap();
    whole.write_all(b"\x10\xEF\xD4\x03").await.unwrap();
    whole.write_all(&body).await.unwrap();
    let mut connack = [0; 4];
    whole.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, *b"\x20\x02\x00\x00");
    assert!(works(address.port()).await);
    broker.stop().await;
}
