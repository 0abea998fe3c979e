//! Whoever reaches a bound harms only himself, and it is counted.

use broker_engine::{Event, Limits};

use crate::client::{Got, publish, subscribe};
use crate::world::World;

#[test]
fn a_full_retained_store_delivers_and_tells() {
    let mut world = World::new(Limits { retained_bytes: 2_000, ..Limits::default() });
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", true, 0));
    world.subscribe(to, "r/#", 1);
    for number in 0..20 {
        world.publish(from, &format!("r/{number}"), b"value", true);
    }
    assert_eq!(world.take(to).len(), 20, "delivered all the same");
    let stats = world.engine.stats();
    assert!(stats.retained < 20 && stats.retained_bytes <= 2_000, "{stats:?}");
    assert_eq!(stats.dropped.retained_full, 20 - stats.retained as u64);
    let told = |event: &Event| matches!(event, Event::RetainedFull { client, .. } if &**client == "from");
    assert!(world.engine.take_events().iter().any(told));
    // A topic that is there may change.
    world.publish(from, "r/0", b"other", true);
    assert_eq!(world.engine.stats().retained, stats.retained);
}

#[test]
fn a_client_that_does_not_read_loses_its_oldest_and_nobody_else_anything() {
    let mut world = World::new(Limits { queue_bytes: 10_000, in_flight: 4, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    let (slow, quick) = (world.connect(4, "slow", false, 1), world.connect(4, "quick", true, 0));
    world.subscribe(slow, "q", 1);
    world.subscribe(quick, "q", 1);
    for number in 0..100 {
        world.publish(from, "q", format!("{number:0200}").as_bytes(), false);
        assert_eq!(world.take(quick).len(), 1);
    }
    let got = world.take(slow);
    assert!(got.len() < 30, "{}", got.len());
    assert!(got.last().unwrap().ends_with("99"), "the newest is there");
    let stats = world.engine.stats();
    assert_eq!(stats.dropped.queue_full, 100 - got.len() as u64);
    assert_eq!(stats.queued_bytes, 2 * (200 + 2 + 150), "two subscriptions are left");
    let told = |event: &Event| matches!(event, Event::QueueFull { client } if &**client == "slow");
    assert_eq!(world.engine.take_events().iter().filter(|one| told(one)).count(), 1);
}

#[test]
fn when_all_queues_fill_the_memory_the_longest_gives_way() {
    let mut world = World::new(Limits { memory_bytes: 100_000, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    let (many, few) = (world.connect(4, "many", false, 1), world.connect(4, "few", false, 1));
    world.subscribe(many, "m", 1);
    world.subscribe(few, "f", 1);
    world.lose(many);
    world.lose(few);
    world.publish(from, "f", b"important", false);
    for _ in 0..200 {
        world.publish(from, "m", &[b'x'; 1000], false);
    }
    let stats = world.engine.stats();
    assert!(stats.queued_bytes <= 100_000 && stats.dropped.memory_full > 50, "{stats:?}");
    let few = world.connect_kept(4, "few");
    assert_eq!(world.take(few), ["important"]);
}

#[test]
fn a_large_subscription_to_retained_messages_needs_no_queue_for_all_of_them() {
    let mut world = World::new(Limits { queue_bytes: 20_000, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    for number in 0..5_000 {
        world.publish(from, &format!("r/{number}"), number.to_string().as_bytes(), true);
    }
    for options in [0, 1] {
        let to = world.connect(4, "to", true, 0);
        world.send(to, &subscribe(4, 1, "r/#", options));
        assert_eq!(world.take(to).len(), 5_000);
    }
    assert_eq!(world.engine.stats().dropped.lost(), 0);
}

#[test]
fn more_messages_on_their_way_than_announced_end_a_version_5_connection() {
    let mut world = World::new(Limits { in_flight: 2, ..Limits::default() });
    let from = world.connect(5, "from", true, 0);
    for id in 1..=3 {
        world.send(from, &publish(5, "q", b"x", 0b100, id, &[]));
    }
    assert!(world.got(from).contains(&Got::Disconnect(0x93)));
    // Version 3 was told no number.
    let from = world.connect(4, "from", true, 0);
    for id in 1..=100 {
        world.send(from, &publish(4, "q", b"x", 0b100, id, &[]));
    }
    assert_eq!(world.got(from).len(), 100);
}

#[test]
fn subscriptions_and_sessions_are_bounded() {
    let mut world = World::new(Limits { subscriptions: 2, sessions: 2, ..Limits::default() });
    let client = world.connect(5, "a", true, 0);
    for (number, code) in [(1, 0), (2, 0), (3, 0x97)] {
        world.send(client, &subscribe(5, number, &format!("t/{number}"), 0));
        assert_eq!(world.got(client), [Got::Suback { id: number, codes: vec![code] }]);
    }
    world.connect(4, "b", false, 1);
    let refused = world.try_connect(5, &crate::client::connect(5, "c", true, 0)).unwrap_err();
    assert_eq!(refused, [Got::Connack { present: false, code: 0x97 }]);
}
