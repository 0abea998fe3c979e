//! mosquitto's own clients against the embedded broker: both versions, users, permissions, sessions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crate::common::{
    clock, condition, eventually, free, port, publish, publish_lines, said, settings, start, stdout,
    subscribe, subscriber, user, works,
};
use broker::{Access, Broker, BrokerError, Tap};
use gateway_core::ports::{AdapterState, LocalBroker as _};
use tempfile::TempDir;

const FLOOR1: &[&str] = &["-u", "floor1", "-P", "geheim"];

async fn broker_with_users(folder: &TempDir) -> Broker {
    let mut settings = settings(folder.path());
    settings.anonymous = false;
    settings.users = vec![
        user("floor1", "geheim\n", &["sensors/#"], &["actuators/floor1/#"]),
        user("reader", "lesen", &[], &["#"]),
    ];
    start(settings, Tap::default()).await.unwrap()
}

fn with<'a>(login: &[&'a str], arguments: &[&'a str]) -> Vec<&'a str> {
    [login, arguments].concat()
}

#[tokio::test]
async fn delivers_between_clients_of_both_versions() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    for (from, to) in [("mqttv5", "mqttv311"), ("mqttv311", "mqttv5")] {
        for qos in ["0", "1", "2"] {
            let mut listening =
                subscriber(port, &["-V", to, "-q", qos, "-t", "a/+/c", "-C", "1", "-W", "20"]);
            // QoS 0 to nobody is lost, so it is sent until the subscriber has one and leaves.
            eventually(async || {
                assert!(
                    publish(port, &["-V", from, "-q", qos, "-t", "a/b/c", "-m", "hello"])
                        .await
                        .status
                        .success()
                );
                listening.try_wait().unwrap().is_some()
            })
            .await;
            let output = listening.wait_with_output().await.unwrap();
            assert_eq!(stdout(&output), "hello\n", "{from} to {to} at QoS {qos}");
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_burst_of_one_device_arrives_whole_and_in_order() {
    let folder = TempDir::new().unwrap();
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let lines: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    let keeper = ["-c", "-i", "keeper", "-q", "1", "-t", "burst"];
    subscribe(port, &[&keeper[..], &["-E"]].concat()).await;
    let listening = subscriber(port, &[&keeper[..], &["-C", "10000", "-W", "30"]].concat());
    let sent = publish_lines(port, &["-q", "1", "-t", "burst"], &lines).await;
    assert!(sent.status.success(), "{}", said(&sent));
    let output = listening.wait_with_output().await.unwrap();
    assert!(stdout(&output) == lines, "{} of 10,000 arrived", stdout(&output).lines().count());
    broker.stop().await;
}

#[tokio::test]
async fn accepts_users_by_password_and_no_other_clients() {
    let folder = TempDir::new().unwrap();
    let broker = broker_with_users(&folder).await;
    let port = port(&broker, "mqtt");
    let message = ["-t", "sensors/a", "-m", "1", "-q", "1"];
    for version in ["mqttv5", "mqttv311"] {
        let version = ["-V", version];
        let attempt = async |login: &[&str]| publish(port, &[login, &version, &message].concat()).await;
        assert!(attempt(FLOOR1).await.status.success());
        for login in
            [&["-u", "floor1", "-P", "falsch"][..], &["-u", "floor1"], &["-u", "nobody", "-P", "x"], &[]]
        {
            let output = attempt(login).await;
            assert!(!output.status.success(), "{login:?}: {}", said(&output));
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn checks_a_password_against_an_argon2_hash() {
    use argon2::password_hash::{PasswordHasher, SaltString};
    let salt = SaltString::encode_b64(b"sixteen bytes of").unwrap();
    let parameters = argon2::Params::new(64, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let hash = hasher.hash_password(b"geheim", &salt).unwrap().to_string();

    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.anonymous = false;
    settings.users = vec![user("floor1", &hash, &["#"], &["#"])];
    let broker = start(settings, Tap::default()).await.unwrap();
    let port = port(&broker, "mqtt");
    let message = ["-t", "a", "-m", "1", "-q", "1"];
    assert!(publish(port, &with(FLOOR1, &message)).await.status.success());
    assert!(!publish(port, &with(&["-u", "floor1", "-P", "falsch"], &message)).await.status.success());
    broker.stop().await;
}

#[tokio::test]
async fn each_user_is_limited_to_its_topics() {
    let folder = TempDir::new().unwrap();
    let broker = broker_with_users(&folder).await;
    let port = port(&broker, "mqtt");
    let reader = ["-u", "reader", "-P", "lesen"];

    let send = async |version, topic| {
        publish(port, &with(FLOOR1, &["-V", version, "-q", "1", "-r", "-t", topic, "-m", "1"])).await
    };
    send("mqttv5", "sensors/a").await;
    let refused = send("mqttv5", "actuators/floor1/valve").await;
    assert!(said(&refused).contains("Not authorized"), "{}", said(&refused));
    send("mqttv311", "alarms/fire").await;
    send("mqttv5", "$SYS/broker/version").await;

    let mine = subscribe(port, &with(&reader, &["-t", "sensors/#", "-C", "1", "-W", "5"])).await;
    assert_eq!(stdout(&mine), "1\n");
    let others =
        subscribe(port, &with(&reader, &["-t", "actuators/#", "-t", "alarms/#", "-C", "1", "-W", "1"])).await;
    assert_eq!(stdout(&others), "", "nothing was published where it may not");

    for (filter, allowed) in [
        ("actuators/floor1/#", true),
        ("actuators/floor1/valve", true),
        ("$share/pool/actuators/floor1/+", true),
        ("actuators/#", false),
        ("actuators/+/valve", false),
        ("sensors/a", false),
        ("#", false),
        ("$share/pool/#", false),
    ] {
        let output = subscribe(port, &with(FLOOR1, &["-V", "mqttv5", "-t", filter, "-E", "-W", "5"])).await;
        let denied = said(&output).contains("denied");
        assert_eq!(denied, !allowed, "{filter}: {}", said(&output));
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_last_will_needs_permission_too() {
    let folder = TempDir::new().unwrap();
    let broker = broker_with_users(&folder).await;
    let port = port(&broker, "mqtt");
    for topic in ["alarms/fire", "sensors/gone"] {
        let will =
            ["-t", "actuators/floor1/x", "--will-topic", topic, "--will-payload", "1", "--will-retain"];
        let mut dying = subscriber(port, &with(FLOOR1, &[&will[..], &["-W", "20"]].concat()));
        eventually(async || {
            // It has subscribed once a message reaches it.
            broker.local().publish("actuators/floor1/x", "1".into());
            let mut first = [0];
            let out = dying.stdout.as_mut().unwrap();
            let read = tokio::io::AsyncReadExt::read(out, &mut first);
            tokio::time::timeout(Duration::from_millis(200), read).await.is_ok_and(|read| read.unwrap() == 1)
        })
        .await;
        dying.start_kill().unwrap();
        dying.wait().await.unwrap();
    }
    // Wills are published in the order of the deaths: where the second has arrived, the first would have.
    let reader = ["-u", "reader", "-P", "lesen"];
    eventually(async || {
        let allowed = subscribe(port, &with(&reader, &["-t", "sensors/gone", "-C", "1", "-W", "1"])).await;
        stdout(&allowed) == "1\n"
    })
    .await;
    let refused = subscribe(port, &with(&reader, &["-t", "alarms/fire", "-C", "1", "-W", "1"])).await;
    assert_eq!(stdout(&refused), "");
    broker.stop().await;
}

#[tokio::test]
async fn new_users_apply_at_once() {
    let folder = TempDir::new().unwrap();
    let broker = broker_with_users(&folder).await;
    let port = port(&broker, "mqtt");
    let message = ["-t", "sensors/a", "-m", "1", "-q", "1"];
    let mut new = settings(folder.path());
    new.anonymous = false;
    new.users = vec![user("floor2", "neu", &["sensors/#"], &[])];
    broker.set_access(Access::new(&new).unwrap());
    assert!(publish(port, &with(&["-u", "floor2", "-P", "neu"], &message)).await.status.success());
    assert!(!publish(port, &with(FLOOR1, &message)).await.status.success());
    new.users.push(user("floor2", "x", &[], &[]));
    let error = Access::new(&new).unwrap_err();
    assert!(matches!(error, BrokerError::UserName { problem: "given twice", .. }));
    broker.stop().await;
}

#[tokio::test]
async fn the_gateways_own_client_ids_are_reserved() {
    let folder = TempDir::new().unwrap();
    let broker = broker_with_users(&folder).await;
    let message = ["-t", "sensors/a", "-m", "1", "-q", "1", "-i", "riser-internal-floor"];
    let refused = publish(port(&broker, "mqtt"), &with(FLOOR1, &message)).await;
    assert!(!refused.status.success());
    broker.stop().await;
}

#[tokio::test]
async fn sessions_and_retained_messages_outlive_a_restart() {
    let folder = TempDir::new().unwrap();
    let keeper = ["-c", "-i", "keeper", "-q", "1", "-t", "kept"];
    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let before = port(&broker, "mqtt");
    subscribe(before, &[&keeper[..], &["-E"]].concat()).await;
    for message in ["1", "2", "3"] {
        publish(before, &["-q", "1", "-t", "kept", "-m", message]).await;
    }
    publish(before, &["-q", "1", "-r", "-t", "last", "-m", "value"]).await;
    broker.stop().await;

    let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
    let after = port(&broker, "mqtt");
    let queued = subscribe(after, &[&keeper[..], &["-C", "3", "-W", "5"]].concat()).await;
    assert_eq!(stdout(&queued), "1\n2\n3\n");
    let retained = subscribe(after, &["-t", "last", "-C", "1", "-W", "5"]).await;
    assert_eq!(stdout(&retained), "value\n");
    broker.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_tried_again_until_it_is_free_and_the_others_work_meanwhile() {
    let folder = TempDir::new().unwrap();
    let other_program = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = other_program.local_addr().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = Some(taken);
    let condition = condition();
    let mut health = condition.watch();
    let broker = Broker::start(settings, Tap::default(), condition, clock()).await.unwrap();
    assert!(works(port(&broker, "mqtt")).await);
    let AdapterState::Down { reason } = health.borrow().state.clone() else { panic!("{health:?}") };
    assert!(reason.contains(&taken.to_string()) && reason.contains("another program"), "{reason}");

    drop(other_program);
    let up = health.wait_for(|health| health.state == AdapterState::Up);
    tokio::time::timeout(Duration::from_secs(20), up).await.expect("it is tried again").unwrap();
    assert_eq!(port(&broker, "websocket"), taken.port());
    assert!(tokio::net::TcpStream::connect(taken).await.is_ok());
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_address_that_stays_taken() {
    let folder = TempDir::new().unwrap();
    let other_program = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(folder.path());
    settings.listen = other_program.local_addr().ok();
    let broker = start(settings, Tap::default()).await.unwrap();
    assert!(broker.addresses().is_empty());
    tokio::time::timeout(Duration::from_secs(2), broker.stop()).await.expect("a quick stop");
}

#[tokio::test]
async fn a_missing_address_and_a_folder_in_use_are_errors() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let broker = start(settings(first.path()), Tap::default()).await.unwrap();
    let mut none = settings(second.path());
    none.listen = None;
    assert!(matches!(start(none, Tap::default()).await, Err(BrokerError::NoListener)));
    let error = start(settings(first.path()), Tap::default()).await.err().unwrap();
    assert!(matches!(error, BrokerError::Storage { .. }), "one folder, one broker: {error}");
    assert!(works(port(&broker, "mqtt")).await);
    broker.stop().await;
}

/// A subscriber relies on this to recognise a message.
#[tokio::test]
async fn an_unacknowledged_message_comes_again_after_a_restart_with_its_packet_id() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
    let folder = TempDir::new().unwrap();
    let mut seen = Vec::new();
    for round in 0..2 {
        let broker = start(settings(folder.path()), Tap::default()).await.unwrap();
        let mut options = MqttOptions::new("display", "127.0.0.1", port(&broker, "mqtt"));
        options.set_manual_acks(true).set_clean_start(false).set_session_expiry_interval(Some(3600));
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("s/+", QoS::AtLeastOnce).await.unwrap();
        let mut next = async || loop {
            match events.poll().await.unwrap() {
                Event::Incoming(Incoming::SubAck(_)) if round == 0 => {
                    let sent = publish(port(&broker, "mqtt"), &["-q", "1", "-t", "s/a", "-m", "1"]).await;
                    assert!(sent.status.success());
                }
                Event::Incoming(Incoming::Publish(publish)) => return publish,
                _ => {}
            }
        };
        let publish = tokio::time::timeout(Duration::from_secs(10), next()).await.unwrap();
        seen.push((publish.pkid, publish.dup, publish.payload));
        broker.stop().await;
    }
    let (pkid, _, payload) = seen[0].clone();
    assert_eq!(seen, [(pkid, false, payload.clone()), (pkid, true, payload)]);
}

#[tokio::test]
async fn carries_mqtt_over_websocket() {
    use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions, mqttbytes::QoS};
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    settings.websocket = free();
    let broker = start(settings, Tap::default()).await.unwrap();
    let url = format!("ws://127.0.0.1:{}/mqtt", port(&broker, "websocket"));
    let mut options = MqttOptions::new("browser", url, 0);
    options.set_transport(rumqttc::Transport::Ws);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("greeting", QoS::AtLeastOnce).await.unwrap();
    client.publish("greeting", QoS::AtLeastOnce, false, "hello").await.unwrap();
    let received = async {
        loop {
            if let Event::Incoming(Incoming::Publish(publish)) = events.poll().await.unwrap() {
                return publish.payload;
            }
        }
    };
    let payload = tokio::time::timeout(Duration::from_secs(10), received).await.unwrap();
    assert_eq!(&payload[..], b"hello");
    broker.stop().await;
}
