//! Checkpoints and steps that no gateway has written, with right checksums: reading them ends in an error or in some state,
//! never in a panic, and a length that lies takes no memory.

use std::process::Command;

use gateway_core::{DeviceId, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

use super::recovery::steps;
use super::settings;
use crate::durable::stored;
use crate::engine::nodes::NodeReport;
use crate::engine::step::{AdapterIndex, Correction, STEP_VERSION, Step};
use crate::engine::{Engine, Outputs};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Step,
    /// Without the header.
    Checkpoint,
}

const FORMS: [Form; 2] = [Form::Step, Form::Checkpoint];

impl Form {
    fn can_be_read(self, bytes: &[u8]) -> bool {
        match self {
            Form::Step => Step::read(STEP_VERSION, bytes).is_ok(),
            Form::Checkpoint => stored::read(stored::VERSION, bytes).is_ok(),
        }
    }

    /// Bytes of it that are right.
    fn right(self) -> Vec<u8> {
        match self {
            Form::Step => postcard::to_stdvec(&full_step()).unwrap(),
            Form::Checkpoint => {
                let mut bytes = Vec::new();
                stored::write(&used_engine(), &mut bytes).unwrap();
                bytes
            }
        }
    }
}

fn some_steps() -> Vec<Step> {
    // Some of them raise an alert.
    steps(&(0..40_u8).map(|i| (i % 4, 30.0 + f64::from(i), 900, 0)).collect::<Vec<_>>())
}

fn full_step() -> Step {
    let mut step = some_steps().swap_remove(0);
    step.settings = Some(Box::new(settings()));
    step.away_since = Some(Timestamp::from_millis(1));
    step.nodes = vec![NodeReport {
        device: DeviceId(0),
        sequence: Some(7),
        seal: Some(codecs::Seal { key: 5, counter: 9 }),
        firmware: Some("rp2040 0.1.0".into()),
        lost: Some(3),
    }];
    step.corrections = vec![Correction { adapter: AdapterIndex(0), forgotten: 1, lost: 2 }];
    step
}

fn used_engine() -> Engine {
    let mut engine = Engine::new(settings());
    some_steps().iter().for_each(|step| engine.apply(step, &mut Outputs::default()));
    engine
}

/// The parts of a checkpoint, without their lengths; all of what has no parts.
fn parts(form: Form, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    if form == Form::Step {
        return vec![bytes.to_vec()];
    }
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (part, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        parts.push(part.to_vec());
        bytes = rest;
    }
    parts
}

fn join(form: Form, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        if form == Form::Checkpoint {
            bytes.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        }
        bytes.extend(part);
    }
    bytes
}

/// Each byte in turn, and so each length, becomes one of these: 2^33, 2^63 and the largest u64, as postcard has them.
const LIES: [&[u8]; 3] = [
    &[0x80, 0x80, 0x80, 0x80, 0x20],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

#[test]
#[ignore = "run by a_length_that_lies_takes_no_memory"]
fn child_reads_lengths_that_lie() {
    for form in FORMS {
        let right = parts(form, &form.right());
        for (which, part) in right.iter().enumerate() {
            for (at, lie) in (0..part.len()).flat_map(|at| LIES.map(|lie| (at, lie))) {
                let mut lying = right.clone();
                lying[which].splice(at..=at, lie.iter().copied());
                form.can_be_read(&join(form, &lying));
            }
        }
    }
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // 4 GiB at most: half of what 2^33 elements take, were they one byte each.
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 4194304; exec \"$0\" --exact \"$1\" --ignored --test-threads=1"])
        .arg(std::env::current_exe().unwrap())
        .arg("tests::garbage::child_reads_lengths_that_lie")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn what_is_whole_can_be_read_and_what_is_cut_short_cannot() {
    for form in FORMS {
        let right = form.right();
        assert!(form.can_be_read(&right), "{form:?}");
        for length in 0..right.len() {
            assert!(!form.can_be_read(&right[..length]), "{form:?} cut to {length} of {} bytes", right.len());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for form in FORMS {
            form.can_be_read(&bytes);
            form.can_be_read(&join(form, &vec![bytes.clone(); 9]));
        }
    }

    #[test]
    fn changed_bytes_are_read_or_refused(
        form in prop::sample::select(&FORMS[..]),
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..8),
    ) {
        let mut changed = parts(form, &form.right());
        for (part, at, byte) in changes {
            let part = part.get_mut(&mut changed);
            if !part.is_empty() {
                *at.get_mut(part) = byte;
            }
        }
        form.can_be_read(&join(form, &changed));
    }
}
