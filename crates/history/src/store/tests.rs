//! The store against a map, with so few windows in `recent` that they are moved all the time.

use std::collections::BTreeMap;

use gateway_core::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::row::Summary;

const ALWAYS: (Timestamp, Timestamp) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);

fn at(window: i64) -> Timestamp {
    Timestamp::from_millis(window * 300_000)
}

fn row(start: i64, length: i64, revision: u32, value: f64) -> Row {
    let summary = Summary { avg: value, min: value, max: value, std: 0.0, count: 1 };
    let metrics = vec![("temperature".into(), summary)];
    Row { start: at(start), end: at(start + length), revision, metrics }
}

fn open(path: &Path) -> Store {
    Store { max_recent: 10, ..Store::open(path).unwrap() }
}

#[derive(Debug, Clone)]
enum Deed {
    Append(Vec<(u8, i64, i64, u32)>),
    Prune(i64),
    Reopen,
}

fn deed() -> impl Strategy<Value = Deed> {
    let window = (0..3_u8, 0..12_i64, 1..3_i64, 0..4_u32);
    prop_oneof![
        6 => prop::collection::vec(window, 0..20).prop_map(Deed::Append),
        1 => (0..12_i64).prop_map(Deed::Prune),
        1 => Just(Deed::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map_that_keeps_the_highest_revision(deeds in prop::collection::vec(deed(), 1..20)) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("history.db");
        let mut store = open(&path);
        let mut model: BTreeMap<(u8, i64, i64), Row> = BTreeMap::new();
        for (number, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Append(windows) => {
                    let mut batch = Vec::new();
                    for (device, start, length, revision) in windows {
                        let row = row(start, length, revision, number as f64);
                        batch.push((format!("device-{device}").into_boxed_str(), row.clone()));
                        let known = model.entry((device, start, length)).or_insert_with(|| row.clone());
                        if known.revision < revision {
                            *known = row;
                        }
                    }
                    store.append(&batch).unwrap();
                }
                Deed::Prune(before) => {
                    let kept = model.len();
                    model.retain(|(_, start, _), _| *start >= before);
                    prop_assert_eq!(store.prune(at(before)).unwrap(), (kept - model.len()) as u64);
                }
                Deed::Reopen => {
                    drop(store);
                    store = open(&path);
                }
            }
            for device in 0..3 {
                let expected: Vec<Row> =
                    model.iter().filter(|((of, ..), _)| *of == device).map(|(_, row)| row.clone()).collect();
                let found = store.read(&format!("device-{device}"), ALWAYS.0, ALWAYS.1, usize::MAX).unwrap();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
