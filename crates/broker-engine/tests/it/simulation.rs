//! Lives of clients at random: they come and go, subscribe, publish at every QoS, answer late; the process dies and starts
//! again, old records are cleaned, time goes by. What was acknowledged comes, QoS 2 comes once, and no byte is left over.

use std::collections::{BTreeMap, BTreeSet};

use broker_engine::Limits;
use proptest::prelude::*;

use crate::client::{Got, ack, publish};
use crate::world::{Client, World};

const CLIENTS: usize = 3;
/// The last one is for retained messages alone.
const TOPICS: [&str; 3] = ["t/0", "t/1", "t/r"];
const RETAINED: usize = 2;

#[derive(Debug, Clone)]
enum Event {
    Connect(usize),
    Lose(usize),
    Subscribe(usize, usize, u8),
    Publish(usize, usize, u8),
    /// The first client publishes so many retained messages at QoS 1, and their records are one batch.
    Retain(usize),
    /// The client reads and answers up to so many packets.
    Read(usize, usize),
    /// It reads up to so many, and its connection is lost with all its answers.
    Choke(usize, usize),
    Die,
    Clean(usize),
    /// What no longer counts of so many batches is deleted, and nothing is written.
    Compact(usize),
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    let client = 0..CLIENTS;
    prop_oneof![
        4 => client.clone().prop_map(Event::Connect),
        2 => client.clone().prop_map(Event::Lose),
        2 => (client.clone(), 0..TOPICS.len(), 1..=2_u8).prop_map(|(client, topic, qos)| Event::Subscribe(client, topic, qos)),
        8 => (client.clone(), 0..RETAINED, 1..=2_u8).prop_map(|(client, topic, qos)| Event::Publish(client, topic, qos)),
        2 => (1..4_usize).prop_map(Event::Retain),
        8 => (client.clone(), 1..6_usize).prop_map(|(client, packets)| Event::Read(client, packets)),
        2 => (client, 1..6_usize).prop_map(|(client, packets)| Event::Choke(client, packets)),
        1 => Just(Event::Die),
        1 => (1..20_usize).prop_map(Event::Clean),
        1 => (1..40_usize).prop_map(Event::Compact),
        1 => Just(Event::Wait),
    ]
}

/// A client as the standard wants it: it keeps its side of the session over connections.
#[derive(Default)]
struct Device {
    connection: Option<Client>,
    /// Packets that came and are not read yet; lost with the connection.
    inbox: Vec<Got>,
    subscribed: BTreeMap<usize, u8>,
    /// Messages that it published and that are not finished: QoS, topic, number, and whether the PUBREC came.
    sending: BTreeMap<u16, (u8, usize, u32, bool)>,
    next_id: u16,
    /// Identifiers of QoS 2 messages that it has received and not finished.
    receiving: BTreeSet<u16>,
    received: Vec<u32>,
}

fn message(topic: usize, number: u32, flags: u8, id: u16) -> Vec<u8> {
    let flags = flags | u8::from(topic == RETAINED);
    publish(4, TOPICS[topic], number.to_string().as_bytes(), flags, id, &[])
}

struct Model {
    world: World,
    devices: [Device; CLIENTS],
    next: u32,
    /// Of each message: who had subscribed when it was acknowledged and when it was sent, and with which QoS it goes there.
    owed: BTreeMap<u32, Vec<(usize, u8)>>,
    acknowledged: BTreeSet<u32>,
    /// The last value of the retained topic.
    retained: Option<u32>,
}

impl Model {
    fn connect(&mut self, index: usize) {
        let client =
            self.world.try_connect(4, &crate::client::connect(4, &format!("d{index}"), false, 1)).unwrap();
        let device = &mut self.devices[index];
        device.connection = Some(client);
        device.inbox.clear();
        for (id, (qos, topic, number, released)) in device.sending.clone() {
            let bytes = if released { ack(0x62, id) } else { message(topic, number, 0b1000 | qos << 1, id) };
            self.world.send(client, &bytes);
        }
    }

    fn lose(&mut self, index: usize) {
        if let Some(client) = self.devices[index].connection.take() {
            self.world.lose(client);
        }
    }

    /// The packet of a new message, of which the client then knows.
    fn packet(&mut self, index: usize, topic: usize, qos: u8) -> Vec<u8> {
        let device = &mut self.devices[index];
        device.next_id += 1;
        let (id, number) = (device.next_id, self.next);
        self.next += 1;
        device.sending.insert(id, (qos, topic, number, false));
        let subscribers = self.devices.iter().enumerate();
        let owed =
            subscribers.filter_map(|(index, one)| Some((index, qos.min(*one.subscribed.get(&topic)?))));
        self.owed.insert(number, owed.collect());
        if topic == RETAINED {
            self.retained = Some(number);
        }
        message(topic, number, qos << 1, id)
    }

    fn publish(&mut self, index: usize, topic: usize, qos: u8, count: usize) {
        let Some(client) = self.devices[index].connection else { return };
        let packets: Vec<_> = (0..count).map(|_| self.packet(index, topic, qos)).collect();
        self.world.send_together(client, &packets);
    }

    /// Reads, and answers what comes.
    fn read(&mut self, index: usize, packets: usize) {
        let Some(client) = self.devices[index].connection else { return };
        for answer in self.answers(index, packets) {
            self.world.send(client, &answer);
        }
    }

    fn answers(&mut self, index: usize, packets: usize) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let Some(client) = self.devices[index].connection else { return answers };
        let new = self.world.got(client);
        self.devices[index].inbox.extend(new);
        for _ in 0..packets {
            if self.devices[index].inbox.is_empty() {
                break;
            }
            let got = self.devices[index].inbox.remove(0);
            answers.extend(self.answer(index, got));
        }
        answers
    }

    fn answer(&mut self, index: usize, got: Got) -> Option<Vec<u8>> {
        let device = &mut self.devices[index];
        match got {
            Got::Publish { payload, qos, id, .. } => {
                let number = String::from_utf8(payload).unwrap().parse().unwrap();
                if qos == 1 || device.receiving.insert(id) {
                    device.received.push(number);
                }
                Some(ack(if qos == 1 { 0x40 } else { 0x50 }, id))
            }
            Got::Ack { first: 0x62, id, .. } => {
                device.receiving.remove(&id);
                Some(ack(0x70, id))
            }
            Got::Ack { first: 0x50, id, .. } => {
                let sending = device.sending.get_mut(&id)?;
                sending.3 = true;
                self.acknowledged.insert(sending.2);
                Some(ack(0x62, id))
            }
            Got::Ack { id, .. } => {
                let (_, _, number, _) = device.sending.remove(&id)?;
                self.acknowledged.insert(number);
                None
            }
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Connect(index) => self.connect(index),
            Event::Lose(index) => self.lose(index),
            Event::Subscribe(index, topic, qos) => {
                if let Some(client) = self.devices[index].connection {
                    self.world.send(client, &crate::client::subscribe(4, 999, TOPICS[topic], qos));
                    self.devices[index].subscribed.insert(topic, qos);
                }
            }
            Event::Publish(index, topic, qos) => self.publish(index, topic, qos, 1),
            Event::Retain(count) => self.publish(0, RETAINED, 1, count),
            Event::Read(index, packets) => self.read(index, packets),
            Event::Choke(index, packets) => {
                self.answers(index, packets);
                self.lose(index);
            }
            Event::Die => {
                self.devices.iter_mut().for_each(|device| device.connection = None);
                self.world.restart();
            }
            Event::Clean(batches) => self.world.clean(batches),
            Event::Compact(batches) => self.world.compact(batches, u64::MAX),
            Event::Wait => self.world.wait(1),
        }
    }

    /// Everybody comes back and reads until nothing moves.
    fn settle(&mut self) {
        for index in 0..CLIENTS {
            self.connect(index);
        }
        // Each round moves a window of messages, and there are fewer messages than rounds.
        for _ in 0..200 {
            for index in 0..CLIENTS {
                self.read(index, 1_000);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_and_qos_2_comes_once(events in proptest::collection::vec(event(), 1..120)) {
        let mut model = Model {
            world: World::new(Limits { in_flight: 3, ..Limits::default() }),
            devices: Default::default(),
            next: 0,
            owed: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            retained: None,
        };
        for event in &events {
            model.apply(event);
        }
        model.settle();
        for (number, owed) in &model.owed {
            for (index, qos) in owed {
                let count = model.devices[*index].received.iter().filter(|one| *one == number).count();
                prop_assert!(count > 0 || !model.acknowledged.contains(number), "{number} never came to {index}");
                prop_assert!(count <= 1 || *qos == 1, "{number} came {count} times to {index}");
            }
        }
        let retained = model.world.retained(TOPICS[RETAINED]);
        prop_assert_eq!(retained, Vec::from_iter(model.retained.map(|number| number.to_string())));
        for device in &model.devices {
            prop_assert!(device.sending.is_empty(), "every message is acknowledged in the end");
        }
        let stats = model.world.engine.stats();
        prop_assert_eq!(stats.dropped.lost(), 0);
        // Nothing waits: what is left is the subscriptions.
        let subscriptions = stats.subscriptions * (200 + 2 * 3 + 2 * 150);
        prop_assert_eq!(stats.queued_bytes, subscriptions);
        model.world.restart();
        prop_assert_eq!(model.world.engine.stats().queued_bytes, subscriptions);
        let retained = model.world.retained(TOPICS[RETAINED]);
        prop_assert_eq!(retained, Vec::from_iter(model.retained.map(|number| number.to_string())));
    }
}
