//! After a crash the same comes out, once.

use std::path::Path;
use std::time::Duration;

use journal::{Journal, Position};
use proptest::prelude::*;

use super::{Fixture, at, settings, uplink};
use crate::durable::checkpoint::CheckpointFile;
use crate::durable::store;
use crate::engine::step::Step;
use crate::engine::{Engine, Outputs};

/// A day in the life: (device, value, milliseconds since the batch before, age of the reading in milliseconds).
fn batches() -> impl Strategy<Value = Vec<(u8, f64, u16, u16)>> {
    prop::collection::vec((0..4_u8, -10.0..60.0_f64, 0..4_000_u16, 0..30_000_u16), 1..80)
}

pub(super) fn steps(batches: &[(u8, f64, u16, u16)]) -> Vec<Step> {
    let mut fixture = Fixture::new();
    let mut now = 0;
    let mut steps = Vec::new();
    for (device, value, gap, age) in batches {
        now += i64::from(*gap);
        let time = super::TEN + now - i64::from(*age);
        let payload = format!("{{\"temperature\":{value},\"ts\":{time}}}");
        let step = fixture.step(vec![uplink(&format!("d{device}"), &payload, at(now))], at(now));
        fixture.engine.apply(&step, &mut Outputs::default());
        steps.push(step);
    }
    steps
}

pub(super) fn write_journal(data_dir: &Path, steps: &[Step]) {
    let (mut journal, _) =
        Journal::open(&data_dir.join("journal"), store::journal_options(), Position::FIRST).unwrap();
    for step in steps {
        journal.append(&postcard::to_stdvec(step).unwrap()).unwrap();
    }
    assert_eq!(journal.written().0, steps.len() as u64);
}

fn apply(engine: &mut Engine, steps: &[Step]) -> Vec<Outputs> {
    let one = |step| {
        let mut outputs = Outputs::default();
        engine.apply(step, &mut outputs);
        outputs
    };
    steps.iter().map(one).collect()
}

fn same(a: &[Outputs], b: &[Outputs]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.aggregates == b.aggregates && a.alerts == b.alerts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_restored_checkpoint_goes_on_as_if_nothing_had_happened(batches in batches(), cut in 0.0..1.0_f64) {
        let steps = steps(&batches);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short list")]
        let cut = (steps.len() as f64 * cut) as usize;
        let mut whole = Engine::new(settings());
        let all = apply(&mut whole, &steps);

        let mut first = Engine::new(settings());
        apply(&mut first, &steps[..cut]);
        let dir = tempfile::tempdir().unwrap();
        let file = CheckpointFile::in_dir(dir.path());
        file.replace(&CheckpointFile::encode(Position(7), &first).unwrap()).unwrap();
        let loaded = file.load().unwrap().unwrap();
        prop_assert_eq!(loaded.position, Position(7));
        let mut second = loaded.engine;
        prop_assert!(same(&all[cut..], &apply(&mut second, &steps[cut..])));
        prop_assert_eq!(whole.open_readings(), second.open_readings());
    }

    #[test]
    fn what_the_outbox_lacks_comes_out_of_the_journal_and_nothing_twice(batches in batches(), mark in 0..80_u64) {
        let steps = steps(&batches);
        let mut engine = Engine::new(settings());
        let all = apply(&mut engine, &steps);

        let dir = tempfile::tempdir().unwrap();
        write_journal(dir.path(), &steps);
        let mark = mark.min(steps.len() as u64);
        let (_, recovered) = store::open(dir.path(), settings(), mark, |_, _| {}).unwrap();
        let lacking: Vec<_> = all
            .iter()
            .zip(1..)
            .filter(|(outputs, position)| *position > mark && !outputs.is_empty())
            .map(|(outputs, position)| (Position(position), outputs))
            .collect();
        prop_assert_eq!(lacking.len(), recovered.outputs.len());
        for ((position, outputs), (again, outputs_again)) in lacking.iter().zip(&recovered.outputs) {
            prop_assert_eq!(position, again);
            prop_assert_eq!(&outputs.aggregates, &outputs_again.aggregates);
            prop_assert_eq!(&outputs.alerts, &outputs_again.alerts);
        }
        prop_assert_eq!(recovered.engine.open_readings(), engine.open_readings());
    }
}

/// A crash, and before the next start somebody edits gateway.toml.
#[test]
fn steps_taken_under_old_settings_are_applied_again_under_the_same() {
    let batches: Vec<_> = (0..40_u8).map(|i| (i % 3, f64::from(i), 1_000, 0)).collect();
    let mut steps = steps(&batches);
    steps[0].settings = Some(Box::new(settings()));
    let mut engine = Engine::new(settings());
    let all = apply(&mut engine, &steps);

    let dir = tempfile::tempdir().unwrap();
    write_journal(dir.path(), &steps);
    let mut edited = settings();
    edited.windows.length = Duration::from_secs(3600);
    edited.windows.every = Duration::from_secs(3600);
    let (_, recovered) = store::open(dir.path(), edited, 0, |_, _| {}).unwrap();
    let published = all.iter().filter(|outputs| !outputs.is_empty()).count();
    assert!(published > 0);
    assert_eq!(recovered.outputs.len(), published);
    assert_eq!(*recovered.engine.settings(), settings());
}

#[test]
fn a_step_lost_to_a_damaged_disk_shifts_no_names() {
    let batches: Vec<_> = (0..4).map(|device| (device, 20.0, 100, 0)).collect();
    let mut steps = steps(&batches);
    steps.remove(1);
    let mut engine = Engine::new(settings());
    apply(&mut engine, &steps);
    let names: Vec<_> = (0..4).map(|id| engine.registry().device_name(gateway_core::DeviceId(id))).collect();
    assert_eq!(names, ["d0", "lost-1", "d2", "d3"]);
}

fn damaged_checkpoint() -> Vec<u8> {
    let mut bytes = CheckpointFile::encode(Position(1), &Engine::new(settings())).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn a_damaged_checkpoint_is_put_aside_and_the_journal_used() {
    let dir = tempfile::tempdir().unwrap();
    CheckpointFile::in_dir(dir.path()).replace(&damaged_checkpoint()).unwrap();
    let (_, recovered) = store::open(dir.path(), settings(), 0, |_, _| {}).unwrap();
    assert_eq!(recovered.replayed, 0);
    assert!(dir.path().join("state.checkpoint.damaged").exists());
}

#[test]
fn two_damaged_checkpoints_are_put_aside_one_start_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = CheckpointFile::in_dir(dir.path());
    file.replace(&damaged_checkpoint()).unwrap();
    file.replace(&damaged_checkpoint()).unwrap();
    // Killed before its first checkpoint: the next start finds the older file alone.
    drop(store::open(dir.path(), settings(), 0, |_, _| {}).unwrap());
    assert!(dir.path().join("state.checkpoint.previous").exists());
    drop(store::open(dir.path(), settings(), 0, |_, _| {}).unwrap());
    assert!(!dir.path().join("state.checkpoint.previous").exists());
}

#[test]
fn a_checkpoint_of_a_later_version_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = CheckpointFile::in_dir(dir.path());
    let mut bytes = CheckpointFile::encode(Position(1), &Engine::new(settings())).unwrap();
    bytes[8] = 99;
    let sum = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
    bytes[20..24].copy_from_slice(&sum.to_le_bytes());
    file.replace(&bytes).unwrap();
    let error = store::open(dir.path(), settings(), 0, |_, _| {}).err().unwrap();
    assert!(error.to_string().contains("format 99"), "{error}");
    assert!(dir.path().join("state.checkpoint").exists());
}

#[test]
fn a_clock_that_was_set_loses_and_doubles_nothing() {
    let mut fixture = Fixture::new();
    let mut published = 0;
    let mut now = gateway_core::Timestamp::from_millis(5_000);
    for minute in 0..6 {
        let reading = gateway_core::Now::at(now);
        let stepped_from = (minute == 3).then_some(now);
        if minute == 3 {
            now = at(0).at;
        }
        let reading = if minute == 3 { gateway_core::Now::at(now) } else { reading };
        let mut step = Step::tick(reading, stepped_from, fixture.engine.registry().next_numbers());
        fixture.decoder.decode(
            Vec::new(),
            vec![uplink("d", r#"{"temperature":20}"#, reading)],
            &fixture.engine,
            &mut step,
            &mut Vec::new(),
        );
        let mut outputs = Outputs::default();
        fixture.engine.apply(&step, &mut outputs);
        published +=
            outputs.aggregates.iter().map(|closed| u64::from(closed.aggregate.readings)).sum::<u64>();
        now = now + Duration::from_secs(4);
    }
    let balance = fixture.balance(published);
    assert!(balance.balanced, "{balance:?}");
    assert_eq!(balance.total.taken, 6);
    assert!(balance.total.dropped.is_empty(), "{balance:?}");
}
