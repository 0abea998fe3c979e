#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gateway_core::Outcome;
use mqtt5::QoS;

use super::*;

fn floor() -> AdapterId {
    AdapterId::new("mqtt", "floor")
}

fn tap(filters: &[&str]) -> Tap {
    let tap = Tap::default();
    tap.set_subscriptions([(floor(), filters.iter().map(|&filter| filter.to_owned()).collect())]);
    tap
}

async fn deliver(tap: &Tap, topic: &str, qos: QoS) -> Result<(), DeliveryError> {
    let origin = Origin { client: "c".into(), packet_id: 1, again: false };
    tap.deliver(topic.into(), Bytes::from_static(b"1"), (qos != QoS::AtMostOnce).then_some(origin)).await
}

#[tokio::test(start_paused = true)]
async fn a_message_for_an_adapter_that_does_not_start_is_discarded() {
    let tap = tap(&["s/#"]);
    assert!(tap.subscribes_to("s/a/b") && !tap.subscribes_to("t"));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        assert_eq!(deliver(&tap, "s/a", qos).await, Err(DeliveryError::QueueFull { adapter: floor() }));
    }
    drop(tap.attach(&floor()));
    assert_eq!(
        deliver(&tap, "s/a", QoS::AtLeastOnce).await,
        Err(DeliveryError::QueueFull { adapter: floor() }),
        "it is gone"
    );
    assert_eq!(deliver(&tap, "t", QoS::AtLeastOnce).await, Ok(()), "no adapter subscribes to it");
}

#[tokio::test(start_paused = true)]
async fn qos_0_waits_for_the_queue_and_not_for_the_outcome() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    for _ in 0..QUEUE_CAPACITY {
        assert_eq!(deliver(&tap, "s/a", QoS::AtMostOnce).await, Ok(()));
    }
    assert_eq!(
        deliver(&tap, "s/a", QoS::AtMostOnce).await,
        Err(DeliveryError::QueueFull { adapter: floor() })
    );
    let (delivered, _) = tokio::join!(deliver(&tap, "s/a", QoS::AtMostOnce), messages.recv());
    assert_eq!(delivered, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn losses_at_a_full_queue_are_reported_once_with_the_next_message() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    for _ in 0..QUEUE_CAPACITY {
        deliver(&tap, "s/a", QoS::AtMostOnce).await.unwrap();
    }
    for qos in [QoS::AtMostOnce, QoS::AtMostOnce, QoS::AtLeastOnce] {
        assert!(deliver(&tap, "s/a", qos).await.is_err());
    }
    let mut lost = Vec::new();
    while !messages.is_empty() {
        lost.push(messages.recv().await.unwrap().lost_before);
    }
    assert_eq!(lost.iter().sum::<u32>(), 0, "these came before");
    for expected in [2, 0] {
        deliver(&tap, "s/a", QoS::AtMostOnce).await.unwrap();
        let message = messages.recv().await.unwrap();
        assert_eq!(message.lost_before, expected, "the third is sent again, so it is not lost");
    }
}

#[tokio::test(start_paused = true)]
async fn large_messages_wait_for_the_memory_budget() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    let deliver = || tap.deliver("s/a".into(), Bytes::from(vec![0; 1 << 20]), None);
    for _ in 0..8 {
        deliver().await.unwrap();
    }
    let read = messages.recv().await.unwrap();
    assert_eq!(
        deliver().await,
        Err(DeliveryError::QueueFull { adapter: floor() }),
        "it is read, and still there"
    );
    drop(read);
    deliver().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_outcome_is_an_error() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    let (delivered, _kept) = tokio::join!(deliver(&tap, "s/a", QoS::AtLeastOnce), messages.recv());
    assert_eq!(delivered, Err(DeliveryError::OutcomeTimeout));
    let dropped = async { drop(messages.recv().await) };
    let (delivered, ()) = tokio::join!(deliver(&tap, "s/a", QoS::ExactlyOnce), dropped);
    assert_eq!(delivered, Err(DeliveryError::Dropped));
}

#[tokio::test(start_paused = true)]
async fn every_subscribed_adapter_must_accept_a_message() {
    let roof = AdapterId::new("mqtt", "roof");
    let tap = Tap::default();
    tap.set_subscriptions([(floor(), vec!["s/+".to_owned()]), (roof.clone(), vec!["#".to_owned()])]);
    let (mut one, mut other) = (tap.attach(&floor()), tap.attach(&roof));
    let both = async {
        one.recv().await.unwrap().ack.complete(Outcome::Taken);
        other.recv().await.unwrap().ack.complete(Outcome::Taken);
    };
    let (delivered, ()) = tokio::join!(deliver(&tap, "s/a", QoS::AtLeastOnce), both);
    assert_eq!(delivered, Ok(()));
    let one_only = async {
        one.recv().await.unwrap().ack.complete(Outcome::Taken);
        drop(other.recv().await);
    };
    let (delivered, ()) = tokio::join!(deliver(&tap, "s/a", QoS::AtLeastOnce), one_only);
    assert_eq!(delivered, Err(DeliveryError::Dropped));
}

#[tokio::test(start_paused = true)]
async fn waiting_messages_go_to_an_adapter_that_restarts() {
    let tap = tap(&["s/a"]);
    drop(tap.attach(&floor()));
    let restart = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // As at a reload: first the adapter, then its filters.
        let mut again = tap.attach(&floor());
        tap.set_subscriptions([(floor(), vec!["s/#".to_owned()])]);
        again.recv().await.unwrap().ack.complete(Outcome::Taken);
    };
    let (delivered, ()) = tokio::join!(deliver(&tap, "s/a", QoS::AtLeastOnce), restart);
    assert_eq!(delivered, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_adapter_gets_nothing_before_its_filters_are_set() {
    let tap = Tap::default();
    let mut messages = tap.attach(&floor());
    assert_eq!(deliver(&tap, "s/a", QoS::AtLeastOnce).await, Ok(()));
    tap.set_subscriptions([(floor(), vec!["s/a".to_owned()])]);
    assert_eq!(deliver(&tap, "s/a", QoS::AtMostOnce).await, Ok(()));
    assert_eq!(&*messages.recv().await.unwrap().topic, "s/a");
}

#[tokio::test(start_paused = true)]
async fn messages_do_not_wait_for_a_removed_subscription() {
    let tap = tap(&["s/a"]);
    let forget = async { tap.set_subscriptions([]) };
    let (delivered, ()) = tokio::join!(deliver(&tap, "s/a", QoS::AtLeastOnce), forget);
    assert_eq!(delivered, Ok(()));
}
