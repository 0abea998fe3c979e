//! Codecs in JavaScript: their messages come later, in order, once, and no other messages wait for them.

use std::sync::{Arc, Mutex};

use codecs::javascript;
use gateway_core::{DropReason, LinkQuality, Outcome};

use super::*;
use crate::decode::directory::DeviceRules;
use crate::scripts::Answered;

/// `b` busies it for 20 ms, `!` for some seconds, in which nothing can stop it.
const SCRIPT: &str = "function decodeUplink(input) {
    if (input.bytes[0] === 98) for (const end = Date.now() + 20; Date.now() < end;);
    if (input.bytes[0] === 33) 'a'.repeat(300000).indexOf('a'.repeat(150000) + 'b');
    return {data: {n: input.bytes[1]}};
}";

fn script() -> Codec {
    Codec::from_file("own.js", SCRIPT, &javascript::Engine::default()).unwrap()
}

fn directory(codec: u16) -> Directory {
    let rules = |name: &str| DeviceRules {
        name: name.to_owned(),
        codec: Some(CodecId(codec)),
        ..DeviceRules::default()
    };
    let devices = ["s1", "s2"].map(|name| (name.to_owned(), rules(name)));
    Directory::new(devices, true, 1_000)
}

/// Devices `s1` and `s2` have a script, all others speak JSON.
fn fixture() -> Fixture {
    let json = Codec::by_name("json", &Options::default()).unwrap();
    let decoder = Decoder::new(vec![Arc::new(json), Arc::new(script())], directory(1));
    Fixture { engine: Engine::new(settings()), decoder }
}

impl Fixture {
    /// One step, and what the senders were notified of.
    fn decode(&mut self, answered: Vec<Answered>, uplinks: Vec<Uplink>) -> Step {
        let mut step = Step::tick(at(0), None, self.engine.registry().next_numbers());
        let mut acks = Vec::new();
        self.decoder.decode(answered, uplinks, &self.engine, &mut step, &mut acks);
        self.engine.apply(&step, &mut Outputs::default());
        acks.into_iter().for_each(|(ack, outcome)| ack.complete(outcome));
        step
    }

    /// Steps until no script has anything to read.
    fn finish(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while !self.decoder.is_idle() {
            let answered = self.decoder.answered_blocking();
            steps.push(self.decode(answered, Vec::new()));
        }
        steps
    }

    fn values(&self, steps: &[Step], device: &str, metric: &str) -> Vec<f64> {
        let registry = self.engine.registry();
        let readings = steps.iter().flat_map(|step| &step.batches).flat_map(|batch| &batch.readings);
        let is_it = |reading: &&crate::engine::step::StepReading| {
            registry.device_name(reading.device) == device && registry.metric_name(reading.metric) == metric
        };
        readings.filter(is_it).map(|reading| reading.value).collect()
    }
}

fn dropped(steps: &[Step]) -> Vec<(DropReason, u32)> {
    steps.iter().flat_map(|step| &step.batches).flat_map(|batch| batch.dropped.clone()).collect()
}

fn ask(device: &str, what: char, n: u8) -> Uplink {
    let mut uplink = uplink(device, "", at(0));
    uplink.payload = Bytes::copy_from_slice(&[what as u8, n]);
    uplink
}

#[test]
fn a_step_does_not_wait_for_scripts_and_their_messages_come_in_a_later_one() {
    let mut fixture = fixture();
    let first = fixture.decode(Vec::new(), vec![ask("s1", 'b', 1), uplink("json", r#"{"n":5}"#, at(0))]);
    let first = [first];
    assert_eq!(fixture.values(&first, "json", "n"), [5.0]);
    assert!(fixture.values(&first, "s1", "n").is_empty());
    let later = fixture.finish();
    assert_eq!(fixture.values(&later, "s1", "n"), [1.0]);
}

#[test]
fn messages_of_a_device_stay_in_order_whatever_reads_them() {
    let mut fixture = fixture();
    let mut messages: Vec<_> = (0..50).map(|n| ask("s1", if n % 10 == 0 { 'b' } else { 'x' }, n)).collect();
    // A frame without a payload needs no script, and must not overtake.
    let mut frame = ask("s1", 'x', 0);
    frame.payload = Bytes::new();
    frame.link = LinkQuality { rssi: Some(-90.0), ..LinkQuality::default() };
    messages.push(frame);
    let first = fixture.decode(Vec::new(), messages);
    assert!(first.batches.iter().all(|batch| batch.readings.is_empty()));
    // Nor what comes when its table has no codec any more.
    let json = Codec::by_name("json", &Options::default()).unwrap();
    fixture.decoder.reconfigure(vec![Arc::new(json), Arc::new(script())], accept_all());
    let second = fixture.decode(Vec::new(), vec![uplink("s1", r#"{"n":50}"#, at(0))]);
    assert!(second.batches.iter().all(|batch| batch.readings.is_empty()));
    let steps = fixture.finish();
    assert_eq!(fixture.values(&steps, "s1", "n"), (0..=50).map(f64::from).collect::<Vec<_>>());
    let metrics = steps.iter().flat_map(|step| &step.batches).flat_map(|batch| &batch.readings);
    let last_two: Vec<_> =
        metrics.map(|reading| fixture.engine.registry().metric_name(reading.metric)).collect();
    assert_eq!(last_two[last_two.len() - 2..], ["rssi", "n"]);
    // Once nothing of it waits, it is read at once.
    let direct = [fixture.decode(Vec::new(), vec![uplink("s1", r#"{"n":51}"#, at(0))])];
    assert_eq!(fixture.values(&direct, "s1", "n"), [51.0]);
}

#[test]
fn a_message_that_is_sent_again_while_its_script_is_at_it_counts_once() {
    let mut fixture = fixture();
    let sent = |again| {
        let mut uplink = ask("s1", 'b', 7);
        uplink.delivery = Delivery::AtLeastOnce { key: 99, again };
        uplink
    };
    fixture.decode(Vec::new(), vec![sent(false), sent(true)]);
    let steps = fixture.finish();
    assert_eq!(fixture.values(&steps, "s1", "n"), [7.0]);
    assert_eq!(dropped(&steps), [(DropReason::Duplicate, 1)]);
}

#[test]
fn no_more_is_taken_once_many_messages_wait_until_they_are_read() {
    let mut fixture = fixture();
    assert!(fixture.decoder.has_capacity());
    fixture.decode(Vec::new(), (0..=255).map(|n| ask("s1", 'x', n)).chain([ask("s1", 'b', 0)]).collect());
    assert!(!fixture.decoder.has_capacity(), "256 wait behind the one that is read");
    let steps = fixture.finish();
    assert!(fixture.decoder.has_capacity());
    assert_eq!(fixture.values(&steps, "s1", "n").len(), 257, "none is lost");
}

#[test]
fn at_the_end_what_is_not_read_stays_with_its_sender_or_is_counted() {
    let mut fixture = fixture();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let kept = |n, delivery| {
        let outcomes = Arc::clone(&outcomes);
        let ack = Ack::new(move |outcome| outcomes.lock().unwrap().push((n, outcome)));
        Uplink { delivery, ack, ..ask("s1", 'b', n) }
    };
    let keeps = Delivery::AtLeastOnce { key: 1, again: false };
    fixture.decode(Vec::new(), vec![kept(1, keeps), kept(2, Delivery::AtMostOnce), kept(3, keeps)]);
    let closed = fixture.decoder.close();
    assert_eq!(dropped(&[fixture.decode(closed, Vec::new())]), [(DropReason::NoRoom, 1)]);
    assert!(fixture.decoder.is_idle());
    assert_eq!(*outcomes.lock().unwrap(), [(2, Outcome::Refused(DropReason::NoRoom))]);
}

/// Time is virtual: it passes while no task has anything to do, whatever a thread does.
#[tokio::test(start_paused = true)]
async fn a_script_that_does_not_come_back_is_given_up_and_refused_until_its_file_has_changed() {
    let mut fixture = fixture();
    let mut radio = ask("s1", '!', 1);
    radio.link = LinkQuality { rssi: Some(-90.0), ..LinkQuality::default() };
    fixture.decode(Vec::new(), vec![radio, ask("s2", 'x', 2)]);
    let began = tokio::time::Instant::now();
    let answered = fixture.decoder.answered().await;
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(5) && waited <= Duration::from_secs(6), "{waited:?}");
    let steps = [fixture.decode(answered, Vec::new())];
    assert_eq!(dropped(&steps), [(DropReason::CodecStuck, 2)], "the one behind it too");
    assert_eq!(fixture.values(&steps, "s1", "rssi"), [-90.0], "the radio is not at fault");

    assert!(fixture.decoder.problem().unwrap().contains("own.js"));
    fixture.decode(Vec::new(), vec![ask("s1", 'x', 3)]);
    let answered = fixture.decoder.answered().await;
    assert_eq!(dropped(&[fixture.decode(answered, Vec::new())]), [(DropReason::CodecStuck, 1)]);
    assert_eq!(began.elapsed(), waited, "at once");

    let json = Codec::by_name("json", &Options::default()).unwrap();
    fixture.decoder.reconfigure(vec![Arc::new(json), Arc::new(script())], directory(1));
    fixture.decode(Vec::new(), vec![ask("s1", 'x', 4)]);
    tokio::time::resume();
    let answered = fixture.decoder.answered().await;
    let steps = [fixture.decode(answered, Vec::new())];
    assert_eq!(fixture.values(&steps, "s1", "n"), [4.0]);
}

/// Each file is another script, and four of them do not come back.
#[tokio::test(start_paused = true)]
async fn with_too_many_threads_that_do_not_come_back_no_script_is_run() {
    let engine = javascript::Engine::default();
    let file = |n: u16| Arc::new(Codec::from_file(&format!("{n}.js"), SCRIPT, &engine).unwrap());
    let rules = |n: u16| {
        let rules = DeviceRules { name: n.to_string(), codec: Some(CodecId(n)), ..DeviceRules::default() };
        (n.to_string(), rules)
    };
    let decoder = Decoder::new((0..5).map(file).collect(), Directory::new((0..5).map(rules), true, 100));
    let mut fixture = Fixture { engine: Engine::new(settings()), decoder };
    let began = tokio::time::Instant::now();
    fixture.decode(Vec::new(), (0..4).map(|n| ask(&n.to_string(), '!', n)).collect());
    let mut steps = Vec::new();
    while !fixture.decoder.is_idle() {
        let answered = fixture.decoder.answered().await;
        steps.push(fixture.decode(answered, Vec::new()));
    }
    let refused: u32 = dropped(&steps)
        .iter()
        .map(|(reason, count)| {
            assert_eq!(*reason, DropReason::CodecStuck);
            count
        })
        .sum();
    assert_eq!(refused, 4);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(10) && waited <= Duration::from_secs(12),
        "two at a time: {waited:?}"
    );

    fixture.decode(Vec::new(), vec![ask("4", 'x', 1)]);
    let answered = fixture.decoder.answered().await;
    assert_eq!(dropped(&[fixture.decode(answered, Vec::new())]), [(DropReason::CodecStuck, 1)]);
    assert_eq!(began.elapsed(), waited, "at once");
}
