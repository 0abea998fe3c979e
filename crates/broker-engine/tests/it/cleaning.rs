//! What is recorded again is the present state, whatever stands in one batch.

use broker_engine::Limits;
use broker_engine::packet::split_frame;

use crate::client::{Got, ack, publish};
use crate::world::{Client, World};

impl World {
    /// Sends packets whose records stand in one batch.
    pub(crate) fn send_together(&mut self, client: Client, packets: &[Vec<u8>]) {
        for bytes in packets {
            let frame = split_frame(bytes, usize::MAX).unwrap().unwrap();
            self.engine.receive(client.key, frame, self.now);
        }
        self.write();
    }

    pub(crate) fn retained(&mut self, topic: &str) -> Vec<String> {
        let reader = self.connect(4, "reader", true, 0);
        self.send(reader, &crate::client::subscribe(4, 1, topic, 0));
        let got = self.take(reader);
        self.lose(reader);
        got
    }
}

#[test]
fn of_a_topics_values_in_one_batch_the_last_is_kept() {
    let message = |payload: &[u8], retain: u8| publish(4, "t", payload, 0b010 | retain, 9, &[]);
    for packets in [
        vec![message(b"1", 1), message(b"2", 1)],
        // Not retained, but for a kept session.
        vec![message(b"1", 0), message(b"2", 1)],
        vec![message(b"2", 1), message(b"1", 0)],
        vec![message(b"1", 1), message(b"", 1), message(b"2", 1)],
    ] {
        let mut world = World::new(Limits::default());
        let away = world.connect(4, "away", false, 1);
        world.subscribe(away, "t", 1);
        world.lose(away);
        let from = world.connect(4, "from", true, 0);
        world.send_together(from, &packets);
        for _ in 0..3 {
            world.clean(usize::MAX);
            world.restart();
            assert_eq!(world.retained("t"), ["2"]);
        }
        let expected = packets.len();
        let away = world.connect_kept(4, "away");
        assert_eq!(world.take(away).len(), expected, "each waits once");
    }
    let mut world = World::new(Limits::default());
    let from = world.connect(4, "from", true, 0);
    world.send_together(from, &[message(b"1", 1), message(b"", 1)]);
    world.clean(usize::MAX);
    world.restart();
    assert!(world.retained("t").is_empty());
}

#[test]
fn a_qos_2_message_that_was_received_is_not_sent_again_after_cleaning() {
    let mut world = World::new(Limits::default());
    let (from, to) = (world.connect(4, "from", true, 0), world.connect(4, "to", false, 1));
    world.subscribe(to, "q", 2);
    world.send(from, &publish(4, "q", b"once", 0b100, 1, &[]));
    world.got(from);
    world.send(from, &ack(0x62, 1));
    assert!(matches!(world.got(to)[..], [Got::Publish { id: 1, .. }]));
    let sent = world.disk.len();
    world.send(to, &ack(0x50, 1));
    assert_eq!(world.got(to), [Got::Ack { first: 0x62, id: 1, code: 0 }]);
    // The client's PUBCOMP is lost; the oldest records, up to that it was sent, are recorded again behind its PUBREC.
    world.lose(to);
    world.clean(sent);
    world.restart();
    let to = world.connect_kept(4, "to");
    assert_eq!(world.got(to), [Got::Ack { first: 0x62, id: 1, code: 0 }], "PUBREL, and not PUBLISH");
}

#[test]
fn what_is_replaced_only_by_a_record_that_may_be_lost_still_counts() {
    let mut world = World::new(Limits::default());
    let (from, kept) = (world.connect(4, "from", true, 0), world.connect(4, "kept", false, 1));
    world.subscribe(kept, "a", 1);
    for (topic, value) in [("a", "1"), ("b", "1"), ("b", ""), ("c", "1")] {
        world.publish(from, topic, value.as_bytes(), true);
    }
    world.take(kept);
    let (durable, batches) = (world.disk.last().unwrap().0, world.disk.len());
    for topic in ["a", "b", "c"] {
        world.publish(from, topic, b"2", true);
    }
    world.take(kept);
    world.subscribe(kept, "a", 0);
    let before = world.disk.iter().map(|(_, batch)| batch.len()).sum::<usize>();
    world.compact(batches, durable);
    assert!(world.disk.iter().map(|(_, batch)| batch.len()).sum::<usize>() < before);
    // The power is cut.
    world.disk.retain(|(position, _)| *position <= durable);
    world.restart();
    let retained = ["a", "b", "c"].map(|topic| world.retained(topic).concat());
    assert_eq!(retained, ["1", "", "1"]);
    let from = world.connect(4, "from", true, 0);
    world.publish(from, "a", b"3", false);
    let kept = world.connect_kept(4, "kept");
    assert_eq!(world.take(kept), ["3"], "session and subscription are there, and nothing comes again");
}

#[test]
fn of_compacted_records_nothing_is_left_that_has_ended() {
    let mut world = World::new(Limits::default());
    let (from, away) = (world.connect(4, "from", true, 0), world.connect(4, "away", false, 1));
    world.subscribe(away, "q", 1);
    world.lose(away);
    for number in 0..100 {
        world.publish(from, "q", format!("{number}").as_bytes(), false);
    }
    let full = world.disk.iter().map(|(_, batch)| batch.len()).sum::<usize>();
    let away = world.connect_kept(4, "away");
    assert_eq!(world.take(away).len(), 100);
    world.compact(usize::MAX, u64::MAX);
    assert!(world.disk.iter().map(|(_, batch)| batch.len()).sum::<usize>() < full / 20);
    world.restart();
    let away = world.connect_kept(4, "away");
    assert!(world.take(away).is_empty());
}
