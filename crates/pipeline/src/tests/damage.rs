//! Every byte of a small store turned over, and every length it can be cut to: it always opens, says so, and loses no
//! more than what was hit. (The outbox has such tests of its own, in `crates/outbox`.)

use std::fs;
use std::path::{Path, PathBuf};

use journal::Position;

use super::recovery::{steps, write_journal};
use super::settings;
use crate::durable::checkpoint::{CheckpointError, CheckpointFile};
use crate::durable::store::{self, Recovered};
use crate::engine::{Engine, Outputs};

/// Steps in the store; each brings one reading.
const STEPS: usize = 12;
/// The last step in the older checkpoint, and in the newer.
const OLDER: usize = 4;
const NEWER: usize = 8;

/// A store with two checkpoints and the journal since before both.
fn store(dir: &Path) {
    let batches: Vec<_> = (0..STEPS).map(|i| ((i % 2) as u8, 20.0, 100, 0)).collect();
    let steps = steps(&batches);
    write_journal(dir, &steps);
    let file = CheckpointFile::in_dir(dir);
    let mut engine = Engine::new(settings());
    for (count, step) in (1..).zip(&steps) {
        engine.apply(step, &mut Outputs::default());
        if count == OLDER || count == NEWER {
            file.replace(&CheckpointFile::encode(Position(count as u64), &engine).unwrap()).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let journal = fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        journal.chain(["state.checkpoint", "state.checkpoint.previous"].map(|name| dir.join(name))).collect();
    assert!(files.iter().all(|path| path.is_file()), "{files:?}");
    files
}

fn open(dir: &Path) -> Recovered {
    let (journal, recovered) = store::open(dir, settings(), 0, |_, _| {}).unwrap();
    assert!(journal.next() > recovered.position);
    recovered
}

fn state(recovered: &Recovered) -> Vec<u8> {
    CheckpointFile::encode(recovered.position, &recovered.engine).unwrap()
}

/// Opens the store with `damaged` in the place of `path`'s bytes, in a folder of its own.
fn open_with(template: &Path, path: &Path, damaged: &[u8]) -> Recovered {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    for file in files(template) {
        let name = file.strip_prefix(template).unwrap();
        if file == path {
            fs::write(dir.path().join(name), damaged).unwrap();
        } else {
            fs::copy(&file, dir.path().join(name)).unwrap();
        }
    }
    open(dir.path())
}

/// Bytes between two tries of a whole opening. [`every_damaged_byte_of_a_checkpoint_is_detected`] tries them all.
const STRIDE: usize = 17;

#[test]
fn a_damaged_checkpoint_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let whole = open_with(dir.path(), Path::new(""), &[]);
    assert!(!whole.damaged);
    for path in files(dir.path()).into_iter().filter(|path| !path.starts_with(dir.path().join("journal"))) {
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(STRIDE) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0xff;
            for damaged in [&flipped[..], &bytes[..at]] {
                let recovered = open_with(dir.path(), &path, damaged);
                assert!(state(&recovered) == state(&whole), "{} at {at}", path.display());
            }
        }
    }
}

#[test]
fn every_damaged_byte_of_a_checkpoint_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let file = CheckpointFile::in_dir(dir.path());
    let bytes = CheckpointFile::encode(Position(1), &Engine::new(settings())).unwrap();
    assert!(file.parse(&bytes).is_ok());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        for damaged in [&flipped[..], &bytes[..at]] {
            let parsed = file.parse(damaged).err();
            assert!(matches!(parsed, Some(CheckpointError::Damaged { .. })), "at {at}: {parsed:?}");
        }
    }
}

#[test]
fn a_damaged_journal_costs_the_step_that_was_hit() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let whole = open_with(dir.path(), Path::new(""), &[]).engine.open_readings();
    assert_eq!(whole, STEPS as u64);
    let path = files(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    let mut lost = 0;
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        let recovered = open_with(dir.path(), &path, &flipped);
        let missing = whole - recovered.engine.open_readings();
        assert!(missing <= 1, "{missing} readings lost by the byte at {at}");
        assert!(
            missing == 0 || recovered.damaged || at > bytes.len() - 60,
            "said nothing of the byte at {at}"
        );
        lost += missing;

        let cut = open_with(dir.path(), &path, &bytes[..at]);
        assert!(cut.position >= Position(NEWER as u64));
        assert_eq!(
            cut.engine.open_readings(),
            cut.position.0,
            "each whole step has its reading, cut at {at}"
        );
    }
    assert!(lost > 0, "bytes of the steps after the checkpoint were among them");
}

#[test]
fn without_its_journal_the_state_is_that_of_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let (_, recovered) = store::open(dir.path(), settings(), STEPS as u64, |_, _| {}).unwrap();
    assert_eq!(recovered.engine.open_readings(), NEWER as u64);
    assert!(recovered.damaged, "the outbox knows of later steps");
}
