//! Clients within the process: as bridges use them.

use broker_engine::{ConnectionKey, InternalClient, InternalOutput, InternalPublish, Limits, Message};

use crate::world::World;

const FILTERS: &[&str] = &["q/#", "secret/#"];

fn connect(world: &mut World, filters: &[&str], wants_all_retained: bool) -> ConnectionKey {
    let filters: Vec<String> = filters.iter().map(|one| (*one).to_owned()).collect();
    let client = InternalClient {
        id: "internal-x",
        queue_bytes: 2_000,
        window: 2,
        filters: &filters,
        wants_all_retained,
    };
    let key = world.engine.connect_internal(client, world.now).unwrap();
    world.write();
    key
}

/// What waits, as `topic=payload`, `!` before it for a retain flag; or `ack <packet id> <reason code>`.
fn outputs(world: &mut World, key: ConnectionKey) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(output) = world.engine.internal_output(key, true, world.now) {
        world.write();
        match output {
            InternalOutput::Message(one) => all.push(text(&one.message, one.retain)),
            InternalOutput::Acked { packet_id, reason } => {
                all.push(format!("ack {packet_id} {:#x}", reason.code()));
            }
            InternalOutput::Closed => {
                all.push("closed".to_owned());
                break;
            }
        }
    }
    all
}

fn text(message: &Message, retain: bool) -> String {
    let mark = if retain { "!" } else { "" };
    format!("{mark}{}={}", message.topic, String::from_utf8_lossy(&message.payload))
}

fn publish(world: &mut World, key: ConnectionKey, topic: &str, packet_id: u16) -> bool {
    let publish = InternalPublish { topic, payload: b"in", retain: false, dup: false, packet_id };
    let has_adapters = world.engine.internal_publish(key, publish, world.now).is_some();
    world.write();
    has_adapters
}

#[test]
fn messages_wait_for_it_over_connections_and_restarts_until_they_are_done() {
    let mut world = World::new(Limits::default());
    connect(&mut world, FILTERS, true);
    let from = world.connect(4, "from", true, 0);
    for number in 0..4 {
        world.publish(from, "q/1", number.to_string().as_bytes(), false);
    }
    // Connected again, then restarted: nothing was done, so all of it comes again, two at a time.
    for restart in [false, true] {
        if restart {
            world.restart();
        }
        let key = connect(&mut world, FILTERS, false);
        assert_eq!(outputs(&mut world, key), ["q/1=0", "q/1=1"]);
        assert!(world.engine.waiting_bytes(key) > 4 * 4);
    }
    let key = connect(&mut world, FILTERS, false);
    assert_eq!(outputs(&mut world, key).len(), 2);
    world.engine.internal_done(key, 1, true, world.now);
    assert_eq!(outputs(&mut world, key), ["q/1=2"]);
    for id in 1..10 {
        world.engine.internal_done(key, id, true, world.now);
    }
    assert_eq!(outputs(&mut world, key), ["q/1=3"]);
    for id in 1..10 {
        world.engine.internal_done(key, id, true, world.now);
    }
    world.write();
    world.restart();
    let key = connect(&mut world, FILTERS, false);
    assert_eq!(outputs(&mut world, key), [""; 0]);
    assert_eq!(world.engine.waiting_bytes(key), 0);
}

#[test]
fn what_it_publishes_reaches_others_and_is_acknowledged_when_it_is_stored_and_does_not_come_back() {
    let mut world = World::new(Limits::default());
    let key = connect(&mut world, FILTERS, true);
    let reader = world.connect(5, "reader", false, 600);
    world.subscribe(reader, "#", 1);
    world.stores = false;
    // No user may publish there: permissions are for users.
    assert!(!publish(&mut world, key, "secret/1", 7));
    assert_eq!(outputs(&mut world, key), [""; 0], "not stored yet");
    world.engine.stored(u64::MAX);
    assert_eq!(outputs(&mut world, key), ["ack 7 0x0"]);
    assert_eq!(world.got(reader).len(), 1);
    publish(&mut world, key, "$SYS/broker/uptime", 8);
    assert_eq!(outputs(&mut world, key), ["ack 8 0x87"]);
    assert_eq!(world.engine.stats().dropped.not_permitted, 1);
    let huge = vec![0; 8 << 20];
    let publish = InternalPublish { topic: "a", payload: &huge, retain: true, dup: false, packet_id: 9 };
    assert!(world.engine.internal_publish(key, publish, world.now).is_none());
    assert_eq!(outputs(&mut world, key), ["ack 9 0x95"]);
}

#[test]
fn an_adapter_that_does_not_take_its_message_closes_it_without_an_acknowledgement() {
    let mut world = World::new(Limits::default());
    world.engine.set_adapter_filters([(0, "sensors/#")]);
    let key = connect(&mut world, &[], true);
    let publish =
        InternalPublish { topic: "sensors/a", payload: b"1", retain: false, dup: true, packet_id: 9 };
    let local = world.engine.internal_publish(key, publish, world.now).unwrap();
    assert_eq!(local.origin, Some(("internal-x".into(), 9, true)));
    assert_eq!(outputs(&mut world, key), [""; 0]);
    world.engine.adapter_done(local.token.unwrap(), false);
    assert_eq!(outputs(&mut world, key), ["closed"]);
    let key = connect(&mut world, &[], false);
    let local = world.engine.internal_publish(key, publish, world.now).unwrap();
    world.engine.adapter_done(local.token.unwrap(), true);
    assert_eq!(outputs(&mut world, key), ["ack 9 0x0"]);
}

#[test]
fn its_subscriptions_are_those_of_its_last_connection_and_retained_messages_come_where_it_wants_them() {
    let mut world = World::new(Limits::default());
    let from = world.connect(4, "from", true, 0);
    world.publish(from, "q/1", b"kept", true);
    world.publish(from, "other", b"kept", true);
    let mut heard = |filters: &[&str], wants_all| {
        let key = connect(&mut world, filters, wants_all);
        let heard = outputs(&mut world, key);
        for id in 1..10 {
            world.engine.internal_done(key, id, true, world.now);
        }
        heard
    };
    assert_eq!(heard(&["q/#"], false), ["!q/1=kept"], "a new subscription");
    assert_eq!(heard(&["q/#"], false), [""; 0], "an old one");
    assert_eq!(heard(&["q/#"], true), ["!q/1=kept"], "an old one, all the same");
    assert_eq!(heard(&["other"], false), ["!other=kept"]);
    world.publish(from, "q/1", b"not wanted any more", false);
    let key = connect(&mut world, &["other"], false);
    assert_eq!(outputs(&mut world, key), [""; 0]);
}

#[test]
fn its_queue_has_a_bound_of_its_own_and_its_session_ends_when_nobody_needs_it() {
    let mut world = World::new(Limits::default());
    let key = connect(&mut world, FILTERS, true);
    let from = world.connect(4, "from", true, 0);
    for _ in 0..20 {
        world.publish(from, "q/1", &[0; 100], false);
    }
    assert!(world.engine.waiting_bytes(key) <= 2_000);
    assert!(world.engine.stats().dropped.queue_full > 10);
    let used = world.engine.stats().queued_bytes;
    world.restart();
    assert_eq!(world.engine.stats().queued_bytes, used);
    world.engine.end_internal_sessions("internal-", &["internal-x"], world.now);
    assert_eq!(world.engine.stats().sessions, 1);
    world.engine.end_internal_sessions("internal-", &["internal-y"], world.now);
    world.write();
    assert_eq!((world.engine.stats().sessions, world.engine.stats().queued_bytes), (0, 0));
    world.restart();
    assert_eq!(world.engine.stats().sessions, 0);
}
