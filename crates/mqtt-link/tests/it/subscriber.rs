//! The subscriber against mosquitto.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::settings::Secret;
use mqtt_link::{Event, Protocol, Qos, Session, Subscriber};
use testkit::mosquitto::{Mosquitto, free_port};

use super::{BOTH, connected, down, everything, hear, message, options, publisher, say, up};

const AN_HOUR: Session = Session::Persistent { expiry: Duration::from_secs(3600) };

#[tokio::test]
async fn hears_what_is_published_over_tcp_and_websockets() {
    let broker = Mosquitto::start(&[]).await;
    let ws_port = free_port();
    let _over_ws = Mosquitto::start(&[&format!("listener {ws_port} 127.0.0.1"), "protocol websockets"]).await;
    for url in [broker.url(), format!("ws://127.0.0.1:{ws_port}")] {
        for protocol in BOTH {
            let filters = vec![("a/+".to_owned(), Qos::AtLeastOnce), ("b".to_owned(), Qos::AtMostOnce)];
            let mut subscriber = Subscriber::start(options(&url, protocol, "ears"), filters);
            up(&mut subscriber).await;
            let mut mouth = mqtt_link::Publisher::start(options(&url, protocol, "mouth"));
            connected(&mut mouth).await;
            say(&mut mouth, "a/1", "one").await;
            say(&mut mouth, "b", "two").await;
            let first = message(&mut subscriber).await;
            assert_eq!(
                (&*first.topic, &first.payload[..], first.qos),
                ("a/1", &b"one"[..], Qos::AtLeastOnce)
            );
            assert!(first.ack.is_expected() && first.packet_id != 0 && !first.dup && !first.retain);
            first.ack.send();
            let second = message(&mut subscriber).await;
            assert_eq!(
                (&*second.topic, &second.payload[..], second.qos),
                ("b", &b"two"[..], Qos::AtMostOnce)
            );
            assert!(!second.ack.is_expected());
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_as_such() {
    let users = tempfile::NamedTempFile::new().unwrap();
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", users.path().to_str().unwrap(), "joe", "right"])
        .status();
    assert!(made.unwrap().success());
    let broker = Mosquitto::start(&[&format!("password_file {}", users.path().display())]).await;
    for protocol in BOTH {
        let mut with = options(&broker.url(), protocol, "joe");
        with.credentials = Some(("joe".to_owned(), Secret::new("wrong".to_owned())));
        let mut refused = Subscriber::start(with.clone(), everything());
        let reason = down(&mut refused).await;
        assert!(reason.contains("check username and password_file"), "{reason}");
        assert!(!reason.contains("wrong user") || protocol == Protocol::V311, "{reason}");
        with.credentials = Some(("joe".to_owned(), Secret::new("right".to_owned())));
        up(&mut Subscriber::start(with, everything())).await;
    }
}

/// mosquitto's acl_file accepts every subscription and then delivers nothing; its plugin rejects.
const ONLY_OPEN: &str = r#"{
  "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
  "groups": [{"groupname": "all", "roles": [{"rolename": "open"}]}],
  "anonymousGroup": "all",
  "roles": [{"rolename": "open", "acls": [{"acltype": "subscribePattern", "topic": "open/#", "allow": true}]}]
}"#;

fn dynamic_security() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut plugins = folders.map(|folder| folder.path().join("mosquitto_dynamic_security.so"));
    plugins.find(|plugin| plugin.exists()).expect("mosquitto's plugin: apt-get install mosquitto")
}

#[tokio::test]
async fn a_refused_filter_is_named() {
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), ONLY_OPEN).unwrap();
    let plugin = format!("plugin {}", dynamic_security().display());
    let broker =
        Mosquitto::start(&[&plugin, &format!("plugin_opt_config_file {}", rules.path().display())]).await;
    for protocol in BOTH {
        let filters = ["open/#", "closed/#"].map(|filter| (filter.to_owned(), Qos::AtLeastOnce));
        let mut subscriber = Subscriber::start(options(&broker.url(), protocol, "ears"), filters.to_vec());
        let Event::Up { refused, .. } = hear(&mut subscriber).await else { panic!("not up") };
        let refused: Vec<_> = refused.iter().map(|refused| refused.filter.as_str()).collect();
        assert_eq!(refused, ["closed/#"], "{protocol:?}");
    }
}

#[tokio::test]
async fn comes_back_with_its_subscriptions_after_the_broker_was_killed() {
    for protocol in BOTH {
        let mut broker = Mosquitto::start(&[]).await;
        let mut subscriber = Subscriber::start(options(&broker.url(), protocol, "ears"), everything());
        up(&mut subscriber).await;
        broker.kill();
        down(&mut subscriber).await;
        broker.restart().await;
        assert!(!up(&mut subscriber).await, "a killed broker without persistence keeps no session");
        say(&mut publisher(&broker, "mouth").await, "a", "again").await;
        assert_eq!(&message(&mut subscriber).await.payload[..], b"again");
    }
}

#[tokio::test]
async fn a_persistent_session_brings_what_was_published_meanwhile() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let mut with = options(&broker.url(), protocol, "ears");
        with.session = AN_HOUR;
        let mut subscriber = Subscriber::start(with.clone(), everything());
        assert!(!up(&mut subscriber).await);
        subscriber.disconnect().await;

        say(&mut publisher(&broker, "mouth").await, "a", "meanwhile").await;

        let mut subscriber = Subscriber::start(with, everything());
        let mut payload = None;
        let mut remembered = None;
        while payload.is_none() || remembered.is_none() {
            match hear(&mut subscriber).await {
                Event::Message(message) => payload = Some(message.payload),
                Event::Up { session_present, .. } => remembered = Some(session_present),
                Event::Down { reason } => panic!("{reason}"),
            }
        }
        assert_eq!((payload.as_deref(), remembered), (Some(&b"meanwhile"[..]), Some(true)));
    }
}

#[tokio::test]
async fn an_unacknowledged_message_comes_again_and_a_late_acknowledgement_harms_nothing() {
    for protocol in BOTH {
        let mut broker =
            Mosquitto::start(&["persistence true", "persistence_location {dir}/", "autosave_interval 1"])
                .await;
        let mut with = options(&broker.url(), protocol, "ears");
        with.session = AN_HOUR;
        let mut subscriber = Subscriber::start(with, everything());
        up(&mut subscriber).await;
        say(&mut publisher(&broker, "mouth").await, "a", "once").await;
        let stale = message(&mut subscriber).await.ack;

        broker.restart().await;
        let again = message(&mut subscriber).await;
        assert!(again.dup);
        stale.send();
        again.ack.send();

        say(&mut publisher(&broker, "mouth").await, "a", "next").await;
        let next = message(&mut subscriber).await;
        assert_eq!((&next.payload[..], next.dup), (&b"next"[..], false));
        next.ack.send();
        subscriber.disconnect().await;
    }
}

#[tokio::test]
async fn a_message_larger_than_is_taken_comes_cut_and_costs_nothing() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let mut with = options(&broker.url(), protocol, "ears");
        with.session = AN_HOUR;
        with.max_packet_size = 1024;
        let mut subscriber = Subscriber::start(with, everything());
        up(&mut subscriber).await;
        let mut mouth = publisher(&broker, "mouth").await;
        mouth.try_publish(7, "a", vec![b'x'; 5_000_000].into(), false).unwrap();
        say(&mut mouth, "a", "small").await;
        let giant = message(&mut subscriber).await;
        assert_eq!(giant.payload.len(), 1024, "{protocol:?}");
        giant.ack.send();
        assert_eq!(&message(&mut subscriber).await.payload[..], b"small", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_message_larger_than_can_be_read_does_not_block_those_after_it() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&[]).await;
        let mut with = options(&broker.url(), protocol, "ears");
        with.session = AN_HOUR;
        let mut subscriber = Subscriber::start(with, everything());
        up(&mut subscriber).await;
        let mut mouth = publisher(&broker, "mouth").await;
        mouth.try_publish(7, "a", vec![b'x'; 17 << 20].into(), false).unwrap();
        if protocol == Protocol::V311 {
            let reason = down(&mut subscriber).await;
            assert!(reason.contains("larger than 16 MiB"), "{reason}");
            up(&mut subscriber).await;
        }
        say(&mut mouth, "a", "small").await;
        assert_eq!(&message(&mut subscriber).await.payload[..], b"small", "{protocol:?}");
    }
}

#[tokio::test]
async fn batches_keep_the_order_of_thousands_of_messages() {
    for protocol in BOTH {
        let broker = Mosquitto::start(&["max_queued_messages 0"]).await;
        let filters = vec![("#".to_owned(), Qos::AtMostOnce)];
        let mut subscriber = Subscriber::start(options(&broker.url(), protocol, "ears"), filters);
        up(&mut subscriber).await;
        let mut mouth = publisher(&broker, "mouth").await;
        let publishing = tokio::spawn(async move {
            let mut sent = 0_u64;
            while sent < 3000 {
                while sent < 3000 && mouth.try_publish(sent, "n", sent.to_string().into(), false).is_ok() {
                    sent += 1;
                }
                super::next(&mut mouth).await;
            }
            while mouth.in_flight() > 0 {
                super::next(&mut mouth).await;
            }
        });
        let mut events = Vec::new();
        while events.len() < 3000 {
            let more = subscriber.recv_many(&mut events, 256);
            assert!(tokio::time::timeout(super::PATIENCE, more).await.unwrap() > 0);
        }
        publishing.await.unwrap();
        for (expected, event) in events.iter().enumerate() {
            let Event::Message(message) = event else { panic!("{event:?}") };
            assert_eq!(&message.payload[..], expected.to_string().as_bytes());
        }
    }
}
