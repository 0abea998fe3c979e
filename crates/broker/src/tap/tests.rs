#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gateway_core::Outcome;

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
    tap.take(topic.into(), Bytes::from_static(b"1"), qos).await
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
