//! Sessions over connections and restarts, wills, takeovers.

use broker_engine::Limits;

use crate::client::{Got, ack, connect, connect_with_will, packet, publish};
use crate::world::{Client, World};

impl World {
    /// Connects with the session that is there.
    pub(crate) fn connect_kept(&mut self, version: u8, id: &str) -> Client {
        let client = self.try_connect(version, &connect(version, id, false, 600)).unwrap();
        let key = client.key;
        let mut output = broker_engine::Output::default();
        // The CONNACK alone: what follows it is the test's.
        self.engine.output(key, &mut output, 1, self.now);
        assert_eq!(output.tail[2], 1, "the session is there");
        client
    }
}

#[test]
fn a_kept_session_gets_what_came_while_it_was_away_in_order_also_after_a_restart() {
    for restart in [false, true] {
        let mut world = World::new(Limits::default());
        let (from, to) = (world.connect(4, "from", true, 0), world.connect(5, "to", false, 600));
        world.subscribe(to, "q/#", 2);
        world.publish(from, "q/1", b"sent", false);
        assert_eq!(world.got(to).len(), 1, "on its way, and not acknowledged");
        world.lose(to);
        for number in 0..5 {
            world.publish(from, "q/1", number.to_string().as_bytes(), false);
        }
        if restart {
            world.restart();
        }
        let to = world.connect_kept(5, "to");
        let got = world.got(to);
        assert!(matches!(got[0], Got::Publish { id: 1, dup: true, .. }), "the old identifier: {got:?}");
        for one in &got {
            let Got::Publish { id, .. } = one else { panic!("{one:?}") };
            world.send(to, &ack(0x40, *id));
        }
        let payloads: Vec<_> = got
            .iter()
            .map(|one| match one {
                Got::Publish { payload, .. } => String::from_utf8_lossy(payload).into_owned(),
                _ => String::new(),
            })
            .collect();
        assert_eq!(payloads, ["sent", "0", "1", "2", "3", "4"]);
        world.lose(to);
        world.restart();
        let to = world.connect_kept(5, "to");
        assert!(world.got(to).is_empty(), "all of it was acknowledged");
    }
}

#[test]
fn a_qos_2_message_comes_once_whenever_the_process_dies() {
    let mut world = World::new(Limits::default());
    let (mut from, mut to) = (world.connect(5, "from", false, 600), world.connect(4, "to", false, 1));
    world.subscribe(to, "q", 2);
    world.send(from, &publish(5, "q", b"x", 0b100, 7, &[]));
    assert_eq!(world.got(from), [Got::Ack { first: 0x50, id: 7, code: 0 }]);
    world.restart();
    // The PUBREC was lost: the client sends it again.
    (from, to) = (world.connect_kept(5, "from"), world.connect_kept(4, "to"));
    world.send(from, &publish(5, "q", b"x", 0b1100, 7, &[]));
    assert_eq!(world.got(from), [Got::Ack { first: 0x50, id: 7, code: 0 }]);
    assert!(matches!(&world.got(to)[..], [Got::Publish { id: 1, .. }]));
    world.send(to, &ack(0x50, 1));
    assert_eq!(world.got(to), [Got::Ack { first: 0x62, id: 1, code: 0 }]);
    world.restart();
    (from, to) = (world.connect_kept(5, "from"), world.connect_kept(4, "to"));
    assert_eq!(world.got(to), [Got::Ack { first: 0x62, id: 1, code: 0 }], "the PUBREL alone");
    world.send(to, &ack(0x70, 1));
    world.send(from, &ack(0x62, 7));
    assert_eq!(world.got(from), [Got::Ack { first: 0x70, id: 7, code: 0 }]);
    world.restart();
    let to = world.connect_kept(4, "to");
    assert!(world.got(to).is_empty());
}

#[test]
fn subscriptions_and_retained_messages_survive_restarts_and_cleaning() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", false, 600));
    for filter in ["a/#", "b", "c/+"] {
        world.subscribe(to, filter, 1);
    }
    world.send(to, &crate::client::unsubscribe(5, 1, "b"));
    for (topic, payload) in [("r/1", "old"), ("r/1", "new"), ("r/2", "two"), ("r/2", ""), ("c/x", "kept")] {
        world.publish(from, topic, payload.as_bytes(), true);
    }
    for _ in 0..3 {
        world.clean(3);
        world.restart();
    }
    world.clean(usize::MAX);
    world.restart();
    let to = world.connect_kept(5, "to");
    assert_eq!(world.take(to), ["kept"]);
    let from = world.connect(5, "from", true, 0);
    for topic in ["a/b", "b", "c/x", "d"] {
        world.publish(from, topic, topic.as_bytes(), false);
    }
    assert_eq!(world.take(to), ["a/b", "c/x"]);
    let new = world.connect(5, "new", true, 0);
    world.send(new, &crate::client::subscribe(5, 1, "r/#", 1));
    assert_eq!(world.take(new), ["new"]);
}

#[test]
fn on_a_takeover_the_old_will_comes_before_the_new_connections_messages() {
    let mut world = World::new(Limits::default());
    let to = world.connect(4, "to", true, 0);
    world.subscribe(to, "state", 1);
    let old = world.try_connect(5, &connect_with_will("dev", "state", "offline", 0, 0)).unwrap();
    world.got(old);
    let new = world.try_connect(5, &connect_with_will("dev", "state", "offline", 0, 0)).unwrap();
    world.got(new);
    world.publish(new, "state", b"online", false);
    assert_eq!(world.got(old), [Got::Disconnect(0x8E)]);
    assert_eq!(world.take(to), ["offline", "online"]);
}

#[test]
fn a_will_waits_for_its_delay_and_not_if_the_client_comes_back_or_says_goodbye() {
    let mut world = World::new(Limits::default());
    let to = world.connect(4, "to", true, 0);
    world.subscribe(to, "state", 1);
    let dying = |world: &mut World| {
        let client = world.try_connect(5, &connect_with_will("dev", "state", "gone", 30, 600)).unwrap();
        world.got(client);
        client
    };
    let client = dying(&mut world);
    world.lose(client);
    world.wait(20);
    let client = dying(&mut world);
    world.wait(20);
    assert!(world.take(to).is_empty(), "it came back");
    world.lose(client);
    world.wait(31);
    assert_eq!(world.take(to), ["gone"]);
    let client = dying(&mut world);
    world.send(client, &packet(0xE0, &[]));
    world.wait(50);
    assert!(world.take(to).is_empty(), "it said goodbye");
    let client = dying(&mut world);
    world.send(client, &packet(0xE0, &[0x04]));
    world.got(client);
    world.lose(client);
    world.wait(31);
    assert_eq!(world.take(to), ["gone"], "a goodbye with will");
}

#[test]
fn sessions_end_at_their_time_and_silent_clients_are_cut_off() {
    let mut world = World::new(Limits { session_expiry: 100, ..Limits::default() });
    let (from, to) = (world.connect(5, "from", true, 0), world.connect(5, "to", false, 4000));
    world.subscribe(to, "q", 1);
    world.lose(to);
    world.publish(from, "q", b"x", false);
    world.wait(89);
    assert_eq!(world.engine.stats().sessions, 2);
    assert_eq!(world.got(from), [], "its keep-alive is 60 s");
    world.wait(12);
    assert_eq!(world.got(from), [Got::Disconnect(0x8D)]);
    let stats = world.engine.stats();
    assert_eq!((stats.sessions, stats.expired_sessions, stats.dropped.session_ended), (0, 1, 1));
    assert_eq!(stats.queued_bytes, 0);
    world.restart();
    assert_eq!(world.engine.stats().sessions, 0);
}

/// Or whoever has a login could read another user's queue, end his connection, or keep him out.
#[test]
fn each_user_has_client_ids_of_his_own() {
    let mut world = World::new(Limits::default());
    let connect_as = |world: &mut World, user, clean| {
        let client = world.try_connect_as(user, 4, &connect(4, "display", clean, 1)).unwrap();
        let got = world.got(client);
        let Got::Connack { present, code: 0, .. } = got[0] else { panic!("{got:?}") };
        (client, present)
    };
    let (squatter, _) = connect_as(&mut world, Some("bob"), false);
    world.subscribe(squatter, "q/bob", 1);
    let (ann, present) = connect_as(&mut world, Some("ann"), false);
    assert!(!present);
    world.subscribe(ann, "q/ann", 1);
    let (again, present) = connect_as(&mut world, Some("bob"), false);
    assert!(present && world.engine.stats().connected == 3, "his own connection is taken over");
    world.got(squatter);
    assert_eq!(world.engine.stats().connected, 2, "and no other");
    world.lose(ann);
    world.lose(again);
    let from = world.connect(4, "from", true, 0);
    for topic in ["q/ann", "q/bob"] {
        world.publish(from, topic, topic.as_bytes(), false);
    }
    world.clean(usize::MAX);
    world.compact(usize::MAX, u64::MAX);
    world.restart();
    // A session of nobody is a third one.
    let (nobody, present) = connect_as(&mut world, None, true);
    assert!(!present && world.take(nobody).is_empty());
    for (user, topic) in [("ann", "q/ann"), ("bob", "q/bob")] {
        let client = world.try_connect_as(Some(user), 4, &connect(4, "display", false, 1)).unwrap();
        assert_eq!(world.take(client), [topic]);
    }
}
