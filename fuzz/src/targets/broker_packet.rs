//! The embedded broker on what two clients send, in any order: the first byte chooses their versions, the others are packets,
//! each for the client that its first byte's highest bit says. What is stored must be readable.

use std::sync::Arc;

use broker_engine::packet::{decode_connect, split_frame};
use broker_engine::{Engine, Limits, Now, Output, Peer, Policy, Restoring};

struct Everything;

impl Policy for Everything {
    fn may_publish(&self, _: Option<&str>, _: &str, _: &str) -> bool {
        true
    }

    fn may_subscribe(&self, _: Option<&str>, _: &str, _: &str) -> bool {
        true
    }

    fn admits(&self, _: Option<&str>) -> bool {
        true
    }
}

const V4: &[u8] = b"\x00\x04MQTT\x04\x00\x00\x3c\x00\x01x";
const V5: &[u8] = b"\x00\x04MQTT\x05\x00\x00\x3c\x05\x11\x00\x00\x00\x3c\x00\x01y";

fn engine(now: Now) -> Engine {
    let limits =
        // Room for the topics that say how the broker is doing: in a full store they would push others out.
        Limits { queue_bytes: 4096, memory_bytes: 65_536, retained_bytes: 1 << 20, ..Limits::default() };
    let mut engine = Engine::new(limits, Arc::new(Everything), now);
    engine.set_next_position(1);
    engine
}

pub(crate) fn run(data: &[u8]) {
    let Some((&first, mut packets)) = data.split_first() else { return };
    let _ = decode_connect(packets).map(|connect| format!("{connect:?}"));
    let mut now = Now { monotonic: 0, wall: 1_800_000_000 };
    let mut broker = engine(now);
    let mut batches = Vec::new();
    let peer = || Peer { user: None, new_client_id: "z".to_owned(), internal: None };
    let connects = if first & 1 == 0 { [V4, V5] } else { [V5, V5] };
    let mut clients = Vec::new();
    for body in connects {
        let connect = decode_connect(body).expect("it is valid");
        clients.push(broker.connect(&connect, peer(), now).expect("it is accepted"));
    }
    let mut output = Output::default();
    while let Some((&to, rest)) = packets.split_first() {
        let Ok(Ok(frame)) = split_frame(rest, riser_fuzz::LARGEST_PACKET) else { break };
        packets = &rest[frame.length..];
        let client = clients[usize::from(to >> 7)];
        broker.receive(client, frame, now);
        now.monotonic += u64::from(to & 0x7F) * 50;
        broker.tick(now);
        if let Some((position, batch)) = broker.take_records() {
            broker.stored(position);
            batches.push((position, batch));
        }
        for client in &clients {
            broker.output(*client, &mut output, 4096, now);
            output.clear();
        }
    }
    let mut restored = engine(now);
    let mut restoring = Restoring::default();
    for (position, batch) in &batches {
        restored.restore(&mut restoring, *position, batch, now).expect("what is stored can be read");
    }
    restored.set_next_position(batches.len() as u64 + 1);
    restored.restored(restoring, now);
    // What expires is rounded to seconds in the records.
    now.monotonic = u64::MAX / 2;
    broker.tick(now);
    restored.tick(now);
    assert_eq!(restored.stored_retained(), broker.stored_retained(), "retained messages come back");
}
