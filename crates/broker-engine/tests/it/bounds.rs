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
fn subscriptions_are_bounded() {
    let mut world = World::new(Limits { subscriptions: 2, ..Limits::default() });
    let client = world.connect(5, "a", true, 0);
    for (number, code) in [(1, 0), (2, 0), (3, 0x97)] {
        world.send(client, &subscribe(5, number, &format!("t/{number}"), 0));
        assert_eq!(world.got(client), [Got::Suback { id: number, codes: vec![code] }]);
    }
}

#[test]
fn whoever_makes_too_many_sessions_loses_his_own() {
    let mut world = World::new(Limits { sessions: 10, ..Limits::default() });
    let mut leave = |user, id: String| {
        let client = world.try_connect_as(user, 5, &crate::client::connect(5, &id, false, 600)).unwrap();
        world.got(client);
        world.lose(client);
        world.engine.stats().sessions
    };
    for number in 0..4 {
        leave(Some("home"), format!("home-{number}"));
    }
    for number in 0..1_000 {
        assert!(leave(None, format!("flood-{number}")) <= 10);
    }
    for number in 0..4 {
        let client = world
            .try_connect_as(
                Some("home"),
                5,
                &crate::client::connect(5, &format!("home-{number}"), false, 600),
            )
            .unwrap();
        assert_eq!(world.got(client), [Got::Connack { present: true, code: 0 }]);
    }
}

#[test]
fn whoever_fills_the_retained_store_loses_his_own() {
    let mut world = World::new(Limits { retained_bytes: 100_000, ..Limits::default() });
    let mut join = |user, id: &str| {
        let client = world.try_connect_as(user, 5, &crate::client::connect(5, id, true, 0)).unwrap();
        world.got(client);
        client
    };
    let (home, flood) = (join(Some("home"), "home"), join(None, "flood"));
    world.publish(home, "door", b"closed", true);
    for number in 0..1_000 {
        world.publish(flood, &format!("flood/{number}"), format!("flood {number:>500}").as_bytes(), true);
        assert!(world.engine.stats().retained_bytes <= 100_000);
    }
    world.publish(home, "door", b"open", true);
    for number in 0..20 {
        world.publish(home, &format!("light/{number}"), format!("light {number:>500}").as_bytes(), true);
    }
    let reader = world.connect(5, "reader", true, 0);
    world.send(reader, &subscribe(5, 77, "#", 1));
    let got = world.take(reader);
    let count = |begin: &str| got.iter().filter(|payload| payload.starts_with(begin)).count();
    assert_eq!((count("open"), count("closed"), count("light")), (1, 0, 20));
    assert!(got.contains(&format!("flood {:>500}", 0)), "the oldest of it stays");
    assert!(world.engine.stats().dropped.retained_full > 800);
}

#[test]
fn a_client_that_sends_and_does_not_read_is_not_read_any_more() {
    let mut world = World::new(Limits::default());
    let client = world.connect(5, "c", true, 0);
    for count in 0.. {
        if !world.engine.wants_more(client.key) {
            break;
        }
        assert!(count < 100_000, "answers pile up");
        world.send(client, &crate::client::packet(0xC0, b""));
    }
    world.got(client);
    assert!(world.engine.wants_more(client.key), "it has read them");
}

#[test]
fn a_client_that_waits_for_its_acknowledgements_is_not_called_silent() {
    let mut world = World::new(Limits { in_flight: 1, ..Limits::default() });
    world.engine.set_adapter_filters([(0, "a")]);
    let client = world.connect(4, "c", true, 0);
    world.send(client, &publish(4, "a", b"1", 0b010, 1, &[]));
    world.wait(1_000);
    assert_eq!(world.engine.stats().connected, 1);
}

#[test]
fn while_the_disk_refuses_nothing_is_written_down_without_end() {
    let mut world = World::new(Limits::default());
    let kept = world.connect(5, "kept", false, 600);
    world.subscribe(kept, "q/#", 1);
    let from = world.connect(5, "from", true, 0);
    world.publish(from, "r", b"old", true);
    world.engine.set_store_full(true);
    let mut bytes = 0;
    for number in 0..500 {
        // At QoS 0 and retained, subscribed again, and from the gateway itself.
        world.engine.receive(
            from.key,
            broker_engine::packet::split_frame(
                &publish(5, &format!("r/{number}"), &[0; 1_000], 1, 0, &[]),
                9_999,
            )
            .unwrap()
            .unwrap(),
            world.now,
        );
        let again = subscribe(5, 1, "q/#", 1);
        world.engine.receive(
            kept.key,
            broker_engine::packet::split_frame(&again, 999).unwrap().unwrap(),
            world.now,
        );
        let message = broker_engine::Message::internal("q/x", vec![0; 1_000].into(), false);
        world.engine.publish(message, world.now);
        while let Some((_, batch)) = world.engine.take_records() {
            bytes += batch.len();
        }
    }
    assert!(bytes < 10_000, "{bytes} bytes of records");
    assert!(world.engine.stats().dropped.disk_full >= 1_000, "{:?}", world.engine.stats().dropped);
}

#[test]
fn many_retained_messages_that_expire_at_once_are_several_batches() {
    let mut world = World::new(Limits::default());
    let from = world.connect(5, "from", true, 0);
    let topic = "x".repeat(1_000);
    for number in 0..3_000 {
        let bytes = publish(5, &format!("{topic}/{number}"), b"1", 0b011, 9, &[2, 0, 0, 0, 1]);
        world.send(from, &bytes);
        world.got(from);
    }
    let before = world.disk.len();
    world.wait(5);
    assert!(world.engine.stats().retained < 100, "$SYS alone");
    let largest = world.disk[before..].iter().map(|(_, batch)| batch.len()).max().unwrap();
    assert!(largest < 2 << 20, "a batch of {largest} bytes");
}

#[test]
fn a_large_message_begins_a_batch() {
    let mut world = World::new(Limits { packet_bytes: 16 << 20, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    for payload in [vec![0; (1 << 20) - 1_000], vec![0; 15 << 20]] {
        let bytes = publish(4, "r", &payload, 0b011, 9, &[]);
        let frame = broker_engine::packet::split_frame(&bytes, usize::MAX).unwrap().unwrap();
        world.engine.receive(from.key, frame, world.now);
    }
    world.write();
    let largest = world.disk.iter().map(|(_, batch)| batch.len()).max().unwrap();
    assert!(largest < (15 << 20) + 1_000, "a batch of {largest} bytes");
}

#[test]
fn a_value_that_finds_no_room_takes_the_old_one_with_it() {
    let mut world = World::new(Limits { retained_bytes: 1_000, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    world.publish(from, "r", b"old", true);
    world.publish(from, "r", &[b'x'; 2_000], true);
    assert_eq!(world.engine.stats().retained, 0, "better none than one that is not true any more");
    world.restart();
    assert_eq!(world.engine.stats().retained, 0);
}

/// Wills, subscriptions and the like must leave the others' messages room.
#[test]
fn what_clients_hold_leaves_room_for_messages() {
    let mut world = World::new(Limits { memory_bytes: 1 << 20, ..Limits::default() });
    let mut refused = 0;
    for number in 0..100 {
        let body =
            crate::client::connect_with_will(&format!("w{number}"), "will", &"x".repeat(20_000), 60, 600);
        refused += usize::from(world.try_connect(5, &body).is_err());
    }
    assert!((50..90).contains(&refused), "{refused} of 100 wills were refused");
    let hog = world.connect(5, "hog", true, 0);
    let mut denied = 0;
    for number in 0..500 {
        world.send(hog, &subscribe(5, 1, &format!("{}{number}", "a/".repeat(150)), 1));
        denied +=
            usize::from(matches!(world.got(hog)[..], [Got::Suback { ref codes, .. }] if codes[0] == 0x97));
    }
    assert!(denied > 400, "{denied}");
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(4, "to", true, 0));
    world.subscribe(to, "m", 1);
    world.publish(from, "m", &[b'1'; 1_000], false);
    assert_eq!(world.take(to).len(), 1);
    assert_eq!(world.engine.stats().dropped.lost(), 0);
}

#[test]
fn identifiers_of_subscriptions_count_as_memory() {
    let mut world = World::new(Limits { queue_bytes: 100_000, ..Limits::default() });
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(5, "to", false, 600));
    for number in 0..1_000_u16 {
        // $share/g1/t and so on: each with an identifier of its own.
        let mut body = vec![0, 1, 3, 0x0B, 0x80 | (number & 0x7F) as u8, 1 + (number >> 7) as u8];
        body.extend(crate::client::text(&format!("$share/g{number}/t")));
        body.push(1);
        world.send(to, &crate::client::packet(0x82, &body));
        world.got(to);
    }
    world.lose(to);
    for _ in 0..100 {
        world.publish(from, "t", b"1", false);
    }
    let waiting = world.engine.stats().queued_bytes;
    assert!(world.engine.stats().dropped.queue_full > 70, "{waiting} {:?}", world.engine.stats().dropped);
}

#[test]
fn numbers_of_sessions_are_for_those_that_are_kept() {
    let mut world = World::new(Limits::default());
    for _ in 0..(1 << 20) + 10 {
        let client = world.try_connect(4, &crate::client::connect(4, "c", true, 0)).unwrap();
        world.engine.close(client.key, broker_engine::Closed::ByClient, world.now);
    }
    let one = world.connect(4, "one", false, 1);
    world.subscribe(one, "one", 1);
    world.restart();
    let two = world.connect(4, "two", false, 1);
    world.subscribe(two, "two", 1);
    for _ in 0..(1 << 20) + 10 {
        let client = world.try_connect(4, &crate::client::connect(4, "c", true, 0)).unwrap();
        world.engine.close(client.key, broker_engine::Closed::ByClient, world.now);
    }
    let three = world.connect(4, "three", false, 1);
    world.subscribe(three, "three", 1);
    world.restart();
    assert_eq!(world.engine.stats().sessions, 3);
    assert_eq!(world.engine.stats().subscriptions, 3);
}

/// Messages on their way to clients that do not read fill the memory, and nothing of it can be dropped.
#[test]
fn slow_readers_leave_others_their_subscriptions_wills_and_qos_2() {
    let mut world = World::new(Limits { memory_bytes: 200_000, in_flight: 1_000, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    for number in 0..40 {
        let slow = world.connect(4, &format!("slow{number}"), false, 600);
        world.subscribe(slow, "s", 1);
    }
    for length in [4_000, 400, 40, 1] {
        (0..40).for_each(|_| world.publish(from, "s", &vec![b'x'; length], false));
    }
    assert!(world.engine.stats().queued_bytes > 199_000, "{:?}", world.engine.stats());
    let will = crate::client::connect_with_will("will", "will", "gone", 60, 600);
    assert!(world.try_connect(5, &will).is_ok());
    let to = world.connect(4, "to", true, 0);
    world.send(to, &subscribe(4, 1, "a/b", 2));
    assert!(matches!(world.got(to)[..], [Got::Suback { ref codes, .. }] if codes[0] == 2));
}

/// Everybody waits while a packet is handled.
#[test]
fn a_packet_with_too_many_filters_ends_the_connection() {
    let mut world = World::new(Limits::default());
    for kind in [0x82, 0xA2] {
        let client = world.connect(5, "many", true, 0);
        let filter = if kind == 0x82 { b"\0\x01a\0".to_vec() } else { b"\0\x01a".to_vec() };
        let body = |count| [b"\0\x01\0".to_vec(), filter.repeat(count)].concat();
        world.send(client, &crate::client::packet(kind, &body(10_000)));
        assert!(matches!(world.got(client)[..], [Got::Suback { .. } | Got::Unsuback { .. }]));
        world.send(client, &crate::client::packet(kind, &body(10_001)));
        assert!(matches!(world.got(client)[..], [Got::Disconnect(0x97), ..]));
    }
}
