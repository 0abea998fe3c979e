//! Who gets a message, and with which flags and properties.

use broker_engine::{Limits, Received, Step};

use crate::client::{self, Got, publish, subscribe};
use crate::world::World;

#[test]
fn a_message_comes_as_it_was_published_and_with_nothing_added() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", true, 0));
    world.subscribe(to, "a/+", 2);
    let properties = [&[0x26, 0, 1, b'k', 0, 1, b'v', 0x03, 0, 1, b'j', 0x23, 0, 3, 0x01, 1][..]].concat();
    world.send(from, &publish(5, "a/b", b"x", 0b100, 5, &properties));
    let got = world.got(to);
    // The alias is the sender's own.
    let passed_on = vec![0x26, 0, 1, b'k', 0, 1, b'v', 0x03, 0, 1, b'j', 0x01, 1];
    let expected = Got::Publish {
        topic: "a/b".to_owned(),
        payload: b"x".to_vec(),
        qos: 2,
        id: 1,
        dup: false,
        retain: false,
        properties: passed_on,
    };
    assert_eq!(got, [expected]);
    // From then on by alias alone.
    world.send(from, &publish(5, "", b"y", 0, 0, &[0x23, 0, 3]));
    assert!(matches!(&world.got(to)[..], [Got::Publish { topic, .. }] if topic == "a/b"));
}

#[test]
fn overlapping_subscriptions_give_one_message_with_the_highest_qos_and_all_identifiers() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(5, "to", true, 0));
    for (id, filter, options) in [(1_u8, "a/#", 0), (2, "a/b", 2), (3, "+/b", 1)] {
        let mut body = vec![0, id, 2, 0x0B, id];
        body.extend(client::text(filter));
        body.push(options);
        world.send(to, &client::packet(0x82, &body));
    }
    world.got(to);
    world.send(from, &publish(4, "a/b", b"x", 0b100, 1, &[]));
    let got = world.got(to);
    let [Got::Publish { qos: 2, properties, .. }] = &got[..] else { panic!("{got:?}") };
    let mut identifiers: Vec<u8> = properties.chunks(2).map(|pair| pair[1]).collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [1, 2, 3]);
}

#[test]
fn of_those_that_share_a_filter_one_gets_each_message_and_the_absent_ones_none() {
    let mut world = World::new(Limits::default());
    let from = world.connect(5, "from", true, 0);
    let members = ["a", "b", "c"].map(|id| world.connect(5, id, false, 60));
    for member in members {
        world.subscribe(member, "$share/g/s/#", 1);
    }
    world.lose(members[2]);
    for number in 0..10 {
        world.publish(from, "s/x", number.to_string().as_bytes(), false);
    }
    let mut counts = [members[0], members[1]].map(|member| world.take(member).len());
    counts.sort_unstable();
    assert_eq!(counts, [5, 5]);
}

#[test]
fn retained_messages_come_to_new_subscriptions_as_they_ask() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", true, 0));
    world.publish(from, "r/1", b"one", true);
    world.publish(from, "r/2", b"two", true);
    world.publish(from, "r/2", b"", true);
    let retained = |world: &mut World, options: u8| {
        world.send(to, &subscribe(5, 1, "r/#", options));
        world.got(to).iter().filter(|one| matches!(one, Got::Publish { retain: true, .. })).count()
    };
    assert_eq!(retained(&mut world, 0x10), 1, "new");
    assert_eq!(retained(&mut world, 0x10), 0, "not new");
    assert_eq!(retained(&mut world, 0x00), 1, "always");
    assert_eq!(retained(&mut world, 0x20), 0, "never");
    // What is published now is not retained for those who were there, unless they want the flag.
    world.publish(from, "r/3", b"three", true);
    assert!(matches!(&world.got(to)[..], [Got::Publish { retain: false, .. }]));
    world.subscribe(to, "r/#", 0x28);
    world.publish(from, "r/3", b"three", true);
    assert!(matches!(&world.got(to)[..], [Got::Publish { retain: true, .. }]));
}

#[test]
fn expiry_counts_down_and_what_is_expired_is_not_sent() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", false, 600));
    world.subscribe(to, "e", 1);
    world.lose(to);
    for seconds in [10_u8, 100] {
        world.send(from, &publish(5, "e", b"x", 0b010, 1, &[0x02, 0, 0, 0, seconds]));
    }
    world.wait(20);
    let to = world.connect_kept(to.version, "to");
    assert!(
        matches!(&world.got(to)[..], [Got::Publish { properties, .. }] if properties == &[0x02, 0, 0, 0, 80])
    );
    assert_eq!(world.engine.stats().dropped.expired, 1);
}

#[test]
fn adapters_take_a_message_before_it_is_acknowledged() {
    let mut world = World::new(Limits::default());
    world.engine.set_adapter_filters([(0, "s/#"), (1, "s/+")]);
    let from = world.connect(4, "from", true, 0);
    for (flags, first) in [(0b010, 0x40), (0b100, 0x50)] {
        let Step::Next(Received::Local(local)) = world.send(from, &publish(4, "s/a", b"x", flags, 3, &[]))
        else {
            panic!("it is for adapters")
        };
        assert_eq!((&local.adapters[..], &*local.message.topic), (&[0, 1][..], "s/a"));
        assert!(world.got(from).is_empty());
        let token = local.token.unwrap();
        world.engine.adapter_done(token, true);
        assert!(world.got(from).is_empty(), "the other one has not");
        world.engine.adapter_done(token, true);
        assert_eq!(world.got(from), [Got::Ack { first, id: 3, code: 0 }]);
    }
    // One that does not take it: the client must send it again.
    let Step::Next(Received::Local(local)) = world.send(from, &publish(4, "s/a", b"x", 0b010, 4, &[])) else {
        panic!("it is for adapters")
    };
    world.engine.adapter_done(local.token.unwrap(), false);
    assert!(world.got(from).is_empty() && world.engine.stats().connected == 0);
}

#[test]
fn acknowledgements_come_in_order_and_wait_for_the_disk() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(4, "to", false, 1));
    world.subscribe(to, "kept", 1);
    world.stores = false;
    world.send(from, &publish(4, "kept", b"x", 0b010, 1, &[]));
    world.send(from, &publish(4, "free", b"x", 0b010, 2, &[]));
    assert!(world.got(from).is_empty());
    world.send(from, &publish(4, "kept", b"x", 0b010, 3, &[]));
    let position = |world: &World, before: usize| world.disk[world.disk.len() - before].0;
    let acks = |ids: &[u16]| ids.iter().map(|&id| Got::Ack { first: 0x40, id, code: 0 }).collect::<Vec<_>>();
    world.engine.stored(position(&world, 3));
    assert!(world.got(from).is_empty(), "the first is not stored yet");
    world.engine.stored(position(&world, 2));
    assert_eq!(world.got(from), acks(&[1, 2]));
    world.engine.stored(position(&world, 1));
    assert_eq!(world.got(from), acks(&[3]));
}

/// One packet to many sessions can need more records than the journal takes at once.
#[test]
fn a_large_change_is_stored_in_several_batches_and_read_back() {
    let mut world = World::new(Limits { memory_bytes: 1 << 30, ..Limits::default() });
    let from = world.connect(4, "from", true, 0);
    let to = world.connect(4, "to", false, 1);
    world.subscribe(to, "big/#", 1);
    world.lose(to);
    let payload = vec![b'x'; 400_000];
    for number in 0..6_u16 {
        let bytes = publish(4, &format!("big/{number}"), &payload, 0b011, number + 1, &[]);
        let frame = broker_engine::packet::split_frame(&bytes, usize::MAX).unwrap().unwrap();
        world.engine.receive(from.key, frame, world.now);
    }
    let before = world.disk.len();
    world.write();
    assert_eq!(world.disk.len() - before, 3, "two messages a batch");
    assert_eq!(world.got(from).len(), 6);
    for _ in 0..2 {
        world.restart();
        assert_eq!(world.engine.stats().retained, 6);
        world.clean(usize::MAX);
    }
    let to = world.connect_kept(4, "to");
    assert_eq!(world.take(to).len(), 6);
}

#[test]
fn a_refused_message_is_told_in_version_5_only() {
    let mut world = World::new(Limits::default());
    for (version, code) in [(5, 0x87), (4, 0)] {
        let from = world.connect(version, "from", true, 0);
        world.send(from, &publish(version, "secret/x", b"x", 0b010, 1, &[]));
        assert_eq!(world.got(from), [Got::Ack { first: 0x40, id: 1, code }]);
        world.send(from, &subscribe(version, 2, "secret/#", 1));
        let denied = if version == 5 { 0x87 } else { 0x80 };
        assert_eq!(world.got(from), [Got::Suback { id: 2, codes: vec![denied] }]);
    }
    assert_eq!(world.engine.stats().dropped.not_permitted, 2);
}

#[test]
fn what_breaks_the_standard_ends_the_connection_with_its_reason() {
    for (bytes, code) in [
        (publish(5, "a/#", b"", 0, 0, &[]), 0x90),
        (publish(5, "", b"", 0, 0, &[]), 0x82),
        (publish(5, "a", b"", 0, 0, &[0x23, 0, 0]), 0x94),
        (publish(5, "", b"", 0, 0, &[0x23, 0, 1]), 0x82),
        (publish(5, "a", b"", 0b010, 0, &[]), 0x82),
        (publish(5, "a", b"", 0b110, 1, &[]), 0x81),
        (client::packet(0x30, &[0, 1, 0xFF, 0]), 0x81),
        (client::packet(0x10, b""), 0x82),
        (client::packet(0x82, &[0, 1, 0]), 0x81),
        (subscribe(5, 1, "a", 3), 0x81),
        (client::packet(0xF0, b""), 0x82),
    ] {
        let mut world = World::new(Limits::default());
        let client = world.connect(5, "c", true, 0);
        world.send(client, &bytes);
        let got = world.got(client);
        assert!(
            matches!(got[..], [Got::Disconnect(got)] if got == code),
            "{bytes:?}: {got:?}, not {code:#x}"
        );
        assert_eq!(world.engine.stats().connected, 0);
    }
    // Version 3 has no such packet.
    let mut world = World::new(Limits::default());
    let client = world.connect(4, "c", true, 0);
    world.send(client, &publish(4, "a/#", b"", 0, 0, &[]));
    assert!(world.got(client).is_empty());
    assert_eq!(world.engine.stats().connected, 0);
}

/// CONNECT of version 5 for a session that stays, with Receive Maximum, Maximum Packet Size and Topic Alias Maximum.
fn connect_with(id: &str, receive: u16, packet: u32, aliases: u16) -> Vec<u8> {
    let mut body = client::text("MQTT");
    let mut properties = vec![0x11, 0, 0, 1, 0, 0x21];
    properties.extend_from_slice(&receive.to_be_bytes());
    properties.push(0x27);
    properties.extend_from_slice(&packet.to_be_bytes());
    properties.push(0x22);
    properties.extend_from_slice(&aliases.to_be_bytes());
    body.extend_from_slice(&[5, 0, 0, 60, u8::try_from(properties.len()).unwrap()]);
    body.extend(properties);
    body.extend(client::text(id));
    body
}

#[test]
fn a_client_that_comes_back_with_a_smaller_receive_maximum_gets_no_more_than_that() {
    let mut world = World::new(Limits::default());
    let from = world.connect(4, "from", true, 0);
    let to = world.try_connect(5, &connect_with("to", 20, 1_000, 0)).unwrap();
    world.subscribe_after_connack(to, "q");
    for number in 0..30 {
        world.publish(from, "q", number.to_string().as_bytes(), false);
    }
    let publishes = |got: &[Got]| got.iter().filter(|one| matches!(one, Got::Publish { .. })).count();
    let got = world.got(to);
    assert_eq!(publishes(&got), 20);
    world.lose(to);
    for restart in [false, true] {
        if restart {
            world.restart();
        }
        let to = world.try_connect(5, &connect_with("to", 3, 1_000, 0)).unwrap();
        let got = world.got(to);
        assert_eq!(publishes(&got), 3, "{got:?}");
        assert!(got.iter().skip(1).all(|one| matches!(one, Got::Publish { dup: true, .. })), "{got:?}");
        world.lose(to);
    }
    let to = world.try_connect(5, &connect_with("to", 3, 1_000, 0)).unwrap();
    let expected: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    assert_eq!(world.take(to), expected, "all of it, in order");
}

#[test]
fn a_topic_alias_that_went_with_a_message_too_large_is_not_used() {
    let mut world = World::new(Limits::default());
    let from = world.connect(4, "from", true, 0);
    let to = world.try_connect(5, &connect_with("to", 20, 1_000, 10)).unwrap();
    world.subscribe_after_connack(to, "t");
    world.publish(from, "t", &[b'x'; 2_000], false);
    world.publish(from, "t", b"small", false);
    let got = world.got(to);
    assert!(matches!(&got[..], [Got::Publish { topic, .. }] if topic == "t"), "{got:?}");
}

#[test]
fn after_its_disconnect_a_client_gets_nothing_more() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(5, "to", false, 600));
    for (filter, qos) in [("q", 1), ("z", 0)] {
        world.subscribe(to, filter, qos);
    }
    world.send(to, &client::packet(0xF0, b""));
    world.publish(from, "q", b"1", false);
    world.publish(from, "z", b"1", false);
    assert!(matches!(world.got(to)[..], [Got::Disconnect(0x82)]));
    // Its reason string counts: a client with a small packet size gets the reason alone.
    let tiny = world.try_connect(5, &connect_with("tiny", 20, 24, 0)).unwrap();
    world.got(tiny);
    world.send(tiny, &publish(5, "a/#", b"", 0, 0, &[]));
    let mut output = broker_engine::Output::default();
    world.engine.output(tiny.key, &mut output, 1_000, world.now);
    assert!(output.tail.len() <= 24 && output.tail[0] == 0xE0 && output.tail[2] == 0x90, "{:?}", output.tail);
}

#[test]
fn a_goodbye_counts_even_if_its_connection_is_taken_over_before_it_is_closed() {
    let mut world = World::new(Limits::default());
    let reader = world.connect(4, "reader", true, 0);
    world.subscribe(reader, "will", 0);
    let body = client::connect_with_will("leaves", "will", "x", 0, 600);
    let leaving = world.try_connect(5, &body).unwrap();
    let goodbye = client::packet(0xE0, b"");
    world.engine.receive(
        leaving.key,
        broker_engine::packet::split_frame(&goodbye, 99).unwrap().unwrap(),
        world.now,
    );
    world.try_connect(5, &body).unwrap();
    assert!(world.take(reader).is_empty());
}
