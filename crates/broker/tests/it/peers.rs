//! Peers that the standard's newest clients are not: a mosquitto that bridges, MQTT 3.1, browsers on any path, programs on a
//! Unix socket, dashboards that read `$SYS`; and who a session and a permission belong to.

use std::time::Duration;

use broker::{Access, Tap};
use gateway_core::ports::LocalBroker as _;
use tempfile::TempDir;
use testkit::mosquitto::Mosquitto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::common::{
    eventually, free, port, publish, said, settings, start, stdout, subscribe, subscriber, user, works,
};

/// CONNECT of MQTT 3.1.1, clean session, client id `x`, and its CONNACK.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";

#[tokio::test]
async fn a_mosquitto_bridges_both_ways_and_nothing_goes_in_circles() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(&folder.path().join("broker")), Tap::default()).await.unwrap();
    let here = port(&broker, "mqtt");
    let address = format!("address 127.0.0.1:{here}");
    let mosquitto = Mosquitto::start(&[
        "connection bridge",
        &address,
        "topic # both 1",
        "try_private true",
        "restart_timeout 1",
    ])
    .await;
    let there = mosquitto.port();
    let arrives = async |from: u16, to: u16, topic: &str| {
        publish(from, &["-q", "1", "-r", "-t", topic, "-m", "value"]).await;
        stdout(&subscribe(to, &["-t", topic, "-C", "1", "-W", "1"]).await) == "value\n"
    };
    eventually(async || arrives(there, here, "from/there").await).await;
    eventually(async || arrives(here, there, "from/here").await).await;
    // Each of ten messages comes once: what the bridge published does not go back to it.
    let listening = subscriber(here, &["-q", "1", "-t", "once/#", "-W", "6"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for number in 0..10 {
        publish(there, &["-q", "1", "-t", "once/x", "-m", &number.to_string()]).await;
    }
    let heard = listening.wait_with_output().await.unwrap();
    assert_eq!(stdout(&heard), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    drop(mosquitto);
    broker.stop().await;
}

#[tokio::test]
async fn mqtt_3_1_and_long_client_ids_with_slashes_are_welcome() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let long = format!("building/{}", "x".repeat(300));
    for client in [["-V", "mqttv31", "-i", "old"], ["-V", "mqttv311", "-i", &long]] {
        let sent = publish(port, &[&client[..], &["-q", "2", "-r", "-t", "a", "-m", "1"]].concat()).await;
        assert!(sent.status.success(), "{}", said(&sent));
        let got =
            subscribe(port, &[&client[..], &["-q", "2", "-t", "a", "-C", "1", "-W", "5"]].concat()).await;
        assert_eq!(stdout(&got), "1\n");
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_unix_socket_and_a_websocket_on_any_path_speak_mqtt() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    // One that a killed process left.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut settings = settings(&folder.path().join("broker"));
    (settings.websocket, settings.socket) = (free(), Some(path.clone()));
    let broker = start(settings, Tap::default()).await.unwrap();

    let mut local = UnixStream::connect(&path).await.unwrap();
    local.write_all(CONNECT).await.unwrap();
    let mut answer = [0; 4];
    local.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, CONNACK);

    for (path, offered) in [("/", "mqttv3.1"), ("/ws/mqtt?x=1", "other, mqtt")] {
        let mut browser = TcpStream::connect(("127.0.0.1", port(&broker, "websocket"))).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {offered}\r\n\r\n"
        );
        browser.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 400];
        let length = browser.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        let chosen = offered.rsplit(' ').next().unwrap();
        assert!(
            answer.contains("101") && answer.contains(&format!("sec-websocket-protocol: {chosen}\r")),
            "{answer}"
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn dashboards_read_the_brokers_figures_and_nobody_writes_them() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    publish(port, &["-t", "$SYS/broker/version", "-m", "forged", "-r", "-q", "1"]).await;
    let version = subscribe(port, &["-t", "$SYS/broker/version", "-C", "1", "-W", "15"]).await;
    assert!(stdout(&version).starts_with("riser version "), "{}", said(&version));
    let everything = subscribe(port, &["-t", "#", "-W", "1"]).await;
    assert_eq!(stdout(&everything), "", "# does not match it");
    broker.stop().await;
}

#[tokio::test]
async fn a_session_belongs_to_its_user_until_that_user_is_gone() {
    let folder = TempDir::new().unwrap();
    let mut with_users = settings(folder.path());
    with_users.users = ["ann", "bob", "carl"].map(|name| user(name, name, &["#"], &["#"])).to_vec();
    let broker = start(with_users.clone(), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let session = ["-i", "display", "-c", "-q", "1", "-t", "news"];
    let [ann, bob, carl] = ["ann", "bob", "carl"].map(|name| ["-u", name, "-P", name]);
    // Begun without a name, it goes on with one.
    subscribe(port, &[&session[..], &["-E"]].concat()).await;
    publish(port, &["-q", "1", "-t", "news", "-m", "1"]).await;
    let got = subscribe(port, &[&session[..], &ann, &["-C", "1", "-W", "5"]].concat()).await;
    assert_eq!(stdout(&got), "1\n");
    publish(port, &["-q", "1", "-t", "news", "-m", "2"]).await;
    // Another user with the same client id has a session of his own.
    let other = subscribe(port, &[&session[..], &bob, &["-E"]].concat()).await;
    assert!(other.status.success() && stdout(&other).is_empty(), "{}", said(&other));
    publish(port, &["-q", "1", "-t", "news", "-m", "3"]).await;
    let other = subscribe(port, &[&session[..], &bob, &["-C", "1", "-W", "5"]].concat()).await;
    assert_eq!(stdout(&other), "3\n");
    with_users.users.remove(0);
    broker.set_access(Access::new(&with_users).unwrap());
    let got = subscribe(port, &[&session[..], &carl, &["-C", "2", "-W", "5"]].concat()).await;
    assert_eq!(stdout(&got), "2\n3\n");
    broker.stop().await;
}

#[tokio::test]
async fn new_permissions_cut_off_those_who_read_what_they_may_not_and_nobody_else() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.anonymous_publish = Some(vec!["own/%c".to_owned()]);
    settings.anonymous_subscribe = Some(vec!["a".to_owned(), "b".to_owned()]);
    let broker = start(settings.clone(), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let reader = |topic| subscriber(port, &["-t", topic, "-W", "20", "-F", "%p", "-R"]);
    let (mut a, mut b) = (reader("a"), reader("b"));
    let mut heard = [0; 2];
    for (child, topic) in [(&mut a, "a"), (&mut b, "b")] {
        eventually(async || {
            broker.local().publish(topic, "1".into());
            let read = child.stdout.as_mut().unwrap().read(&mut heard);
            tokio::time::timeout(Duration::from_millis(100), read).await.is_ok()
        })
        .await;
    }
    settings.anonymous_subscribe = Some(vec!["b".to_owned()]);
    broker.set_access(Access::new(&settings).unwrap());
    eventually(async || broker.stats().connected == 1).await;
    assert!(b.try_wait().unwrap().is_none());
    let may = publish(port, &["-V", "mqttv5", "-i", "me", "-q", "1", "-t", "own/me", "-m", "1"]).await;
    assert!(!said(&may).contains("Not authorized"), "{}", said(&may));
    let may_not = publish(port, &["-V", "mqttv5", "-i", "me", "-q", "1", "-t", "own/you", "-m", "1"]).await;
    assert!(said(&may_not).contains("Not authorized"), "{}", said(&may_not));
    a.kill().await.unwrap();
    b.kill().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn a_large_message_of_a_house_with_many_devices_passes() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let file = folder.path().join("devices.json");
    std::fs::write(&file, vec![b'x'; 3 << 20]).unwrap();
    let sent = publish(port, &["-q", "1", "-r", "-t", "bridge/devices", "-f", file.to_str().unwrap()]).await;
    assert!(sent.status.success(), "{}", said(&sent));
    let got = subscribe(port, &["-t", "bridge/devices", "-C", "1", "-W", "10"]).await;
    assert_eq!(got.stdout.len(), (3 << 20) + 1);
    assert!(works(port).await);
    broker.stop().await;
}

/// The broker hears of the new connection and of the last packets of the old one at the same time.
#[tokio::test]
async fn a_client_that_says_goodbye_and_comes_back_at_once_has_said_goodbye() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    // As CONNECT, with a retained will `x` on topic `w`.
    let with_will = b"\x10\x13\x00\x04MQTT\x04\x26\x00\x3c\x00\x01x\x00\x01w\x00\x01x";
    let mut answer = [0; 4];
    for _ in 0..100 {
        let mut old = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        old.write_all(with_will).await.unwrap();
        old.read_exact(&mut answer).await.unwrap();
        let mut new = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        old.write_all(b"\xe0\x00").await.unwrap();
        new.write_all(CONNECT).await.unwrap();
        new.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, CONNACK);
    }
    assert_eq!(stdout(&subscribe(port, &["-t", "w", "-C", "1", "-W", "1"]).await), "");
    broker.stop().await;
}
