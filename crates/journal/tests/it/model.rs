//! Random use against a plain vector.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use journal::{Journal, JournalError, Options, Position, Reader, Record};
use proptest::prelude::*;
use tempfile::TempDir;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Reopen { floor_ahead: u64 },
    Sync,
    Truncate { back: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Step::Append),
        1 => prop_oneof![Just(0), 0..5u64].prop_map(|floor_ahead| Step::Reopen { floor_ahead }),
        1 => Just(Step::Sync),
        1 => (0..20u64).prop_map(|back| Step::Truncate { back }),
    ]
}

fn options() -> Options {
    Options { segment_bytes: 200, content: 0 }
}

fn pair(record: Result<Record, JournalError>) -> (Position, Vec<u8>) {
    record.map(|record| (record.position, record.payload)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn holds_what_a_vector_would(steps in prop::collection::vec(step(), 1..60)) {
        let dir = TempDir::new().unwrap();
        let mut journal = Journal::open(dir.path(), options(), Position::FIRST).unwrap().0;
        let mut model: Vec<(Position, Vec<u8>)> = Vec::new();
        let mut next = Position::FIRST;
        let mut kept_from = Position(0);
        for step in steps {
            match step {
                Step::Append(payload) => {
                    prop_assert_eq!(journal.append(&payload).unwrap(), next);
                    model.push((next, payload));
                    next = next.next();
                }
                Step::Reopen { floor_ahead } => {
                    drop(journal);
                    next = Position(next.0 + floor_ahead);
                    let (reopened, recovery) = Journal::open(dir.path(), options(), next).unwrap();
                    prop_assert_eq!(recovery.next, next);
                    prop_assert_eq!((recovery.torn_bytes, recovery.corrupt_records), (0, 0));
                    journal = reopened;
                    prop_assert_eq!(journal.durable(), next.previous());
                }
                Step::Sync => prop_assert_eq!(journal.sync().unwrap(), next.previous()),
                Step::Truncate { back } => {
                    kept_from = kept_from.max(Position(next.0.saturating_sub(back)));
                    journal.truncate_before(kept_from).unwrap();
                }
            }
            let read: Vec<_> =
                Reader::open(dir.path(), 0).unwrap().read_from(Position(0)).map(pair).collect();
            // Truncation may keep some records before the bound, always the newest ones.
            prop_assert!(model.ends_with(&read));
            let bound = model.partition_point(|(position, _)| *position < kept_from);
            prop_assert!(read.len() >= model.len() - bound);
            let few = 200 / 16;
            prop_assert!(read.len() <= model.len() - bound + few, "a segment's worth at most");
            let from_bound: Vec<_> = journal.read_from(kept_from).unwrap().map(pair).collect();
            prop_assert_eq!(&from_bound[..], &model[bound..]);
        }
    }
}
