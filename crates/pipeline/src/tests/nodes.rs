//! Frames of our own firmware: what comes again counts once, and a sealed frame is taken once.

use std::sync::Arc;

use bytes::Bytes;
use codecs::{Codec, Options};
use gateway_core::{CodecId, Delivery, Measurement, Now, Outcome, Uplink};
use wire::sealed::{Header, Key, NodeId, seal};
use wire::{Base, BatchEncoder, Channel, Encoder, Quantity, Tag};

use super::{Fixture, at, uplink};
use crate::decode::Decoder;
use crate::decode::directory::{DeviceRules, Directory};
use crate::durable::stored;
use crate::engine::step::{STEP_VERSION, Step};

const NODE: CodecId = CodecId(0);
const SEALED: CodecId = CodecId(1);
const SENML: CodecId = CodecId(2);

fn fixture() -> Counting {
    let node = Codec::by_name("node", &Options::default()).unwrap();
    let sealed = Codec::sealed_node("07".repeat(32).parse().unwrap());
    let vault = DeviceRules { name: "vault".to_owned(), codec: Some(SEALED), ..DeviceRules::default() };
    let directory = Directory::new([("70b3d57ed0000001".to_owned(), vault)], true, 100);
    let senml = Codec::by_name("senml", &Options::default()).unwrap();
    let mut fixture = Fixture::new();
    fixture.decoder = Decoder::new(vec![Arc::new(node), Arc::new(sealed), Arc::new(senml)], directory);
    Counting(fixture, 0)
}

/// Two records of one sensor, a minute apart.
fn batch(sequence: u16, base: Base) -> Vec<u8> {
    let mut buffer = [0; 64];
    let tag = Tag { quantity: Quantity::Co2, channel: Channel::FIRST };
    let mut batch = BatchEncoder::new(&mut buffer, sequence, base, &[tag]).unwrap();
    batch.push(0, &[Some(500)]).unwrap();
    batch.push(60, &[Some(510)]).unwrap();
    batch.finish().to_vec()
}

fn sealed(counter: u32, frame: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 128];
    let header = Header { node: NodeId([1; 8]), counter };
    let length = seal(&Key::new([7; 32]), header, frame, &mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn firmware(text: &str) -> Vec<u8> {
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.firmware(text).unwrap();
    encoder.finish().to_vec()
}

fn from(device: &str, frame: Vec<u8>, now: Now) -> Uplink {
    Uplink {
        payload: Bytes::from(frame),
        codec: NODE,
        delivery: Delivery::AtMostOnce,
        ..uplink(device, "", now)
    }
}

/// A fixture that counts what was published.
struct Counting(Fixture, u64);

impl Counting {
    fn tick(&mut self, uplinks: Vec<Uplink>, now: Now) {
        let outputs = self.0.tick(uplinks, now);
        let shares = outputs.aggregates.iter().flat_map(|closed| &closed.shares);
        self.1 += shares.map(|(_, readings)| u64::from(*readings)).sum::<u64>();
    }

    /// Readings in windows, and what was dropped.
    fn counted(&self) -> (u64, Vec<(String, u64)>) {
        let balance = self.0.balance(self.1);
        assert!(balance.balanced);
        (balance.total.open + self.1, balance.total.dropped.into_iter().collect())
    }
}

fn dropped(reason: &str, count: u64) -> Vec<(String, u64)> {
    vec![(reason.to_owned(), count)]
}

#[test]
fn readings_that_a_node_sends_again_count_once_also_after_a_restart() {
    let mut fixture = fixture();
    fixture.tick(vec![from("attic", batch(1, Base::Age(60)), at(0))], at(0));
    fixture.tick(vec![from("attic", batch(1, Base::Age(70)), at(10_000))], at(10_000));
    assert_eq!(fixture.counted(), (2, dropped("duplicate", 2)));
    let twice = || from("attic", batch(2, Base::Age(60)), at(20_000));
    fixture.tick(vec![twice(), twice(), from("cellar", batch(2, Base::Age(60)), at(20_000))], at(20_000));
    assert_eq!(fixture.counted(), (6, dropped("duplicate", 4)));

    let mut bytes = Vec::new();
    stored::write(&fixture.0.engine, &mut bytes).unwrap();
    fixture.0.engine = stored::read(stored::VERSION, &bytes).unwrap();
    fixture.tick(vec![from("attic", batch(2, Base::Age(80)), at(30_000))], at(30_000));
    assert_eq!(fixture.counted(), (6, dropped("duplicate", 6)));
}

#[test]
fn a_sealed_frame_is_taken_once_and_others_in_its_devices_name_never() {
    let mut fixture = fixture();
    let frame = sealed(5, &batch(1, Base::Age(60)));
    fixture.tick(vec![from("vault", frame.clone(), at(0))], at(0));
    fixture.tick(vec![from("vault", frame.clone(), at(10)), from("vault", frame, at(20))], at(20));
    assert_eq!(fixture.counted(), (2, dropped("replay", 4)));

    let mut fixture = self::fixture();
    let mut forged = sealed(6, &batch(2, Base::Age(60)));
    *forged.last_mut().unwrap() ^= 1;
    let fixed = Uplink { codec_is_fixed: true, ..from("vault", batch(3, Base::Age(60)), at(0)) };
    fixture.tick(
        vec![from("vault", forged, at(0)), from("vault", batch(2, Base::Age(60)), at(0)), fixed],
        at(0),
    );
    let refused = vec![("bad_mic".to_owned(), 1), ("bad_payload".to_owned(), 2)];
    assert_eq!(fixture.counted(), (0, refused));
    // None of them has used up a counter or a number.
    fixture.tick(vec![from("vault", sealed(6, &batch(2, Base::Age(60))), at(0))], at(0));
    assert_eq!(fixture.counted().0, 2);
}

#[test]
fn what_was_sent_again_and_sealed_anew_is_acknowledged_and_cannot_be_replayed() {
    let mut fixture = fixture();
    let (first, again) = (sealed(5, &batch(1, Base::Age(60))), sealed(6, &batch(1, Base::Age(70))));
    fixture.tick(vec![from("vault", first, at(0))], at(0));
    let mut acks = Vec::new();
    let mut step = Step::tick(at(10), None, fixture.0.engine.registry().next_numbers());
    let repeated = from("vault", again.clone(), at(10));
    fixture.0.decoder.decode(Vec::new(), vec![repeated], &fixture.0.engine, &mut step, &mut acks);
    assert_eq!(acks.pop().unwrap().1, Outcome::Taken);
    fixture.0.engine.apply(&step, &mut crate::engine::Outputs::default());
    fixture.tick(vec![from("vault", again, at(20))], at(20));
    assert_eq!(fixture.counted(), (2, vec![("duplicate".to_owned(), 2), ("replay".to_owned(), 2)]));
}

#[test]
fn a_replayed_frame_changes_nothing() {
    let mut fixture = fixture();
    let old = sealed(5, &firmware("mine 0.1.0"));
    fixture.tick(vec![from("vault", old.clone(), at(0))], at(0));
    fixture.tick(vec![from("vault", sealed(6, &firmware("mine 0.2.0")), at(0))], at(0));
    let before = fixture.0.engine.nodes().clone();
    fixture.tick(vec![from("vault", old, at(5_000))], at(5_000));
    assert_eq!(*fixture.0.engine.nodes(), before);
    let [row] = &crate::firmware::rows(&fixture.0.engine)[..] else { panic!("one node") };
    assert_eq!(row.version, "0.2.0");
}

#[test]
fn a_device_with_a_key_is_believed_in_no_other_form_and_under_no_other_name() {
    let mut fixture = fixture();
    let reading = Measurement { metric: "temperature".into(), value: 66.0, is_state: false, unit: None };
    let measured =
        |device: &str| Uplink { measurements: vec![reading.clone()], ..from(device, Vec::new(), at(0)) };
    fixture.tick(vec![measured("vault"), measured("70b3d57ed0000001")], at(0));
    let senml = br#"[{"bn":"vault/","n":"temperature","v":66}]"#.to_vec();
    fixture.tick(vec![Uplink { codec: SENML, device: None, ..from("", senml, at(0)) }], at(0));
    assert_eq!(fixture.counted(), (0, dropped("bad_mic", 3)));
    // Its frames are believed under its name too.
    fixture.tick(vec![from("vault", sealed(1, &batch(1, Base::Age(60))), at(0))], at(0));
    assert_eq!(fixture.counted().0, 2);
}

#[test]
fn frames_without_readings_use_up_no_number() {
    let mut fixture = fixture();
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.sequence(1).unwrap();
    let empty = encoder.finish().to_vec();
    fixture.tick(vec![from("attic", empty, at(0))], at(0));
    fixture.tick(vec![from("attic", batch(1, Base::Age(60)), at(0))], at(0));
    assert_eq!(fixture.counted(), (2, Vec::new()));
}

#[test]
fn the_images_of_nodes_are_listed() {
    let mut fixture = fixture();
    assert!(crate::firmware::rows(&fixture.0.engine).is_empty());
    let frames = [("b", "stm32wl 0.1.0"), ("a", "rp2040 0.1.0"), ("b", "stm32wl 0.2.0"), ("c", "mine")];
    let uplinks = frames.map(|(device, text)| from(device, firmware(text), at(0)));
    fixture.tick(uplinks.into(), at(0));
    fixture.tick(vec![from("a", batch(1, Base::Age(0)), at(5_000))], at(5_000));
    let rows = crate::firmware::rows(&fixture.0.engine);
    let listed: Vec<_> =
        rows.iter().map(|row| (&*row.device, &*row.image, &*row.version, &*row.last_heard)).collect();
    let expected = [
        ("a", "rp2040", "0.1.0", "2026-11-20T10:00:05.000Z"),
        ("b", "stm32wl", "0.2.0", "2026-11-20T10:00:00.000Z"),
        ("c", "mine", "", "2026-11-20T10:00:00.000Z"),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn a_device_that_is_not_accepted_leaves_nothing_behind() {
    let mut fixture = fixture();
    let node = Codec::by_name("node", &Options::default()).unwrap();
    fixture.0.decoder = Decoder::new(vec![Arc::new(node)], Directory::new([], false, 10));
    let step = fixture.0.step(vec![from("stranger", batch(1, Base::Age(60)), at(0))], at(0));
    assert!(step.nodes.is_empty() && step.names.devices.is_empty());
}

#[test]
fn steps_of_version_1_have_no_nodes() {
    let mut fixture = fixture();
    let step = fixture.0.step(vec![from("attic", vec![0x53, 0x51, 0x90], at(0))], at(0));
    let record = postcard::to_stdvec(&step).unwrap();
    assert_eq!(Step::read(STEP_VERSION, &record).unwrap(), step);
    assert_eq!(Step::read(1, &record[..record.len() - 1]).unwrap(), step);
}
