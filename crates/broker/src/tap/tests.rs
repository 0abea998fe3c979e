#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gateway_core::Outcome;
use mqtt5::QoS;

use super::*;

fn floor() -> AdapterId {
    AdapterId::new("mqtt", "floor")
}

fn tap(filters: &[&str]) -> Tap {
    let tap = Tap::default();
    tap.set_wanted([(floor(), filters.iter().map(|&filter| filter.to_owned()).collect())]);
    tap
}

async fn take(tap: &Tap, topic: &str, qos: QoS) -> Result<(), NotTaken> {
    let origin = Origin { client: "c".into(), packet_id: 1, again: false };
    tap.take(topic.into(), Bytes::from_static(b"1"), (qos != QoS::AtMostOnce).then_some(origin)).await
}

#[tokio::test(start_paused = true)]
async fn a_message_for_an_adapter_that_does_not_start_is_given_up() {
    let tap = tap(&["s/#"]);
    assert!(tap.wants("s/a/b") && !tap.wants("t"));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        assert_eq!(take(&tap, "s/a", qos).await, Err(NotTaken::NoRoom { adapter: floor() }));
    }
    drop(tap.attach(&floor()));
    assert_eq!(
        take(&tap, "s/a", QoS::AtLeastOnce).await,
        Err(NotTaken::NoRoom { adapter: floor() }),
        "it is gone"
    );
    assert_eq!(take(&tap, "t", QoS::AtLeastOnce).await, Ok(()), "nobody wants it");
}

#[tokio::test(start_paused = true)]
async fn qos_0_waits_for_room_and_not_for_the_outcome() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    for _ in 0..WAITING {
        assert_eq!(take(&tap, "s/a", QoS::AtMostOnce).await, Ok(()));
    }
    assert_eq!(take(&tap, "s/a", QoS::AtMostOnce).await, Err(NotTaken::NoRoom { adapter: floor() }));
    let (taken, _) = tokio::join!(take(&tap, "s/a", QoS::AtMostOnce), messages.recv());
    assert_eq!(taken, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_for_want_of_room_is_told_once_with_the_next_message() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    for _ in 0..WAITING {
        take(&tap, "s/a", QoS::AtMostOnce).await.unwrap();
    }
    for qos in [QoS::AtMostOnce, QoS::AtMostOnce, QoS::AtLeastOnce] {
        assert!(take(&tap, "s/a", qos).await.is_err());
    }
    let mut told = Vec::new();
    while !messages.is_empty() {
        told.push(messages.recv().await.unwrap().lost_before);
    }
    assert_eq!(told.iter().sum::<u32>(), 0, "these came before");
    for expected in [2, 0] {
        take(&tap, "s/a", QoS::AtMostOnce).await.unwrap();
        let message = messages.recv().await.unwrap();
        assert_eq!(message.lost_before, expected, "the third is sent again, so it is not lost");
    }
}

#[tokio::test(start_paused = true)]
async fn large_messages_wait_for_room_in_bytes_until_they_are_decoded() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    let take = || tap.take("s/a".into(), Bytes::from(vec![0; 1 << 20]), None);
    for _ in 0..8 {
        take().await.unwrap();
    }
    let read = messages.recv().await.unwrap();
    assert_eq!(take().await, Err(NotTaken::NoRoom { adapter: floor() }), "it is read, and still there");
    drop(read);
    take().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_told_is_none() {
    let tap = tap(&["s/a"]);
    let mut messages = tap.attach(&floor());
    let (taken, _kept) = tokio::join!(take(&tap, "s/a", QoS::AtLeastOnce), messages.recv());
    assert_eq!(taken, Err(NotTaken::NoOutcome));
    let dropped = async { drop(messages.recv().await) };
    let (taken, ()) = tokio::join!(take(&tap, "s/a", QoS::ExactlyOnce), dropped);
    assert_eq!(taken, Err(NotTaken::Dropped));
}

#[tokio::test(start_paused = true)]
async fn every_adapter_that_wants_a_message_must_take_it() {
    let roof = AdapterId::new("mqtt", "roof");
    let tap = Tap::default();
    tap.set_wanted([(floor(), vec!["s/+".to_owned()]), (roof.clone(), vec!["#".to_owned()])]);
    let (mut one, mut other) = (tap.attach(&floor()), tap.attach(&roof));
    let both = async {
        one.recv().await.unwrap().ack.tell(Outcome::Taken);
        other.recv().await.unwrap().ack.tell(Outcome::Taken);
    };
    let (taken, ()) = tokio::join!(take(&tap, "s/a", QoS::AtLeastOnce), both);
    assert_eq!(taken, Ok(()));
    let one_only = async {
        one.recv().await.unwrap().ack.tell(Outcome::Taken);
        drop(other.recv().await);
    };
    let (taken, ()) = tokio::join!(take(&tap, "s/a", QoS::AtLeastOnce), one_only);
    assert_eq!(taken, Err(NotTaken::Dropped));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_adapter_goes_to_the_one_that_starts_in_its_name() {
    let tap = tap(&["s/a"]);
    drop(tap.attach(&floor()));
    let restart = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // As at a reload: attached first, then said what is wanted.
        let mut again = tap.attach(&floor());
        tap.set_wanted([(floor(), vec!["s/#".to_owned()])]);
        again.recv().await.unwrap().ack.tell(Outcome::Taken);
    };
    let (taken, ()) = tokio::join!(take(&tap, "s/a", QoS::AtLeastOnce), restart);
    assert_eq!(taken, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_adapter_gets_nothing_before_it_is_said_what_it_wants() {
    let tap = Tap::default();
    let mut messages = tap.attach(&floor());
    assert_eq!(take(&tap, "s/a", QoS::AtLeastOnce).await, Ok(()));
    tap.set_wanted([(floor(), vec!["s/a".to_owned()])]);
    assert_eq!(take(&tap, "s/a", QoS::AtMostOnce).await, Ok(()));
    assert_eq!(&*messages.recv().await.unwrap().topic, "s/a");
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_no_longer_does_not_wait() {
    let tap = tap(&["s/a"]);
    let forget = async { tap.set_wanted([]) };
    let (taken, ()) = tokio::join!(take(&tap, "s/a", QoS::AtLeastOnce), forget);
    assert_eq!(taken, Ok(()));
}
