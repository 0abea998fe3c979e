//! Random use against a simple queue in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{body, entry, place};
use outbox::{Count, ENTRY_OVERHEAD, Options, Outbox, Priority, Totals, WhenFull};
use proptest::prelude::*;

const MAX_BYTES: u64 = 1500;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(Priority, usize, u32)>),
    Fetch { priority: Priority, max: usize },
    Acknowledge { first: usize, count: usize },
    Discard { first: usize },
    Reopen,
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![1 => Just(Priority::Urgent), 3 => Just(Priority::Normal)]
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec((priority(), 0..300usize, any::<u32>()), 0..6);
    prop_oneof![
        6 => entries.prop_map(Step::Append),
        2 => (priority(), 0..8usize).prop_map(|(priority, max)| Step::Fetch { priority, max }),
        2 => (0..8usize, 1..5usize).prop_map(|(first, count)| Step::Acknowledge { first, count }),
        1 => (0..8usize).prop_map(|first| Step::Discard { first }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    priority: Priority,
    length: usize,
    weight: u32,
    size: u64,
}

#[derive(Debug)]
struct Model {
    when_full: WhenFull,
    next_seq: u64,
    queue: BTreeMap<u64, Queued>,
    in_flight: BTreeSet<u64>,
    full: BTreeMap<u64, u32>,
    refused: BTreeMap<u64, u32>,
    published: BTreeMap<u64, u32>,
}

impl Model {
    fn bytes(&self) -> u64 {
        self.queue.values().map(|queued| queued.size).sum()
    }

    fn append(&mut self, priority: Priority, length: usize, weight: u32) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let size = ENTRY_OVERHEAD + ("topic".len() + body(seq, length).len()) as u64;
        let mut left = self.queue.clone();
        for victim in self.victims(priority) {
            if left.values().map(|queued| queued.size).sum::<u64>() + size > MAX_BYTES {
                left.remove(&victim);
            }
        }
        if left.values().map(|queued| queued.size).sum::<u64>() + size > MAX_BYTES {
            self.full.insert(seq, weight);
            return;
        }
        for (seq, queued) in std::mem::replace(&mut self.queue, left) {
            if !self.queue.contains_key(&seq) {
                self.full.insert(seq, queued.weight);
            }
        }
        self.queue.insert(seq, Queued { priority, length, weight, size });
    }

    /// Who may go for an entry of this priority, first to last.
    fn victims(&self, incoming: Priority) -> Vec<u64> {
        let of = |priority| {
            let idle = self.queue.iter().filter(|(seq, _)| !self.in_flight.contains(seq));
            idle.filter(move |(_, queued)| queued.priority == priority).map(|(seq, _)| *seq)
        };
        match (self.when_full, incoming) {
            (WhenFull::DropOldest, Priority::Normal) => of(Priority::Normal).collect(),
            (WhenFull::DropOldest, Priority::Urgent) => {
                of(Priority::Normal).chain(of(Priority::Urgent)).collect()
            }
            (WhenFull::DropNewest, Priority::Normal) => vec![],
            (WhenFull::DropNewest, Priority::Urgent) => of(Priority::Normal).rev().collect(),
        }
    }

    fn totals(&self) -> Totals {
        let count = |gone: &BTreeMap<u64, u32>| Count {
            entries: gone.len() as u64,
            weight: gone.values().map(|weight| u64::from(*weight)).sum(),
        };
        let queued = self.queue.iter().map(|(seq, queued)| (*seq, queued.weight)).collect();
        let parts = [&self.published, &queued, &self.full, &self.refused];
        let everything = parts.into_iter().flatten().map(|(seq, weight)| (*seq, *weight)).collect();
        Totals {
            accepted: count(&everything),
            published: count(&self.published),
            queued: count(&queued),
            dropped_full: count(&self.full),
            dropped_refused: count(&self.refused),
            queued_bytes: self.bytes(),
        }
    }

    /// The numbers that some step means: those in flight from the `first` on, and one that was never given.
    fn choose(&self, first: usize, count: usize) -> Vec<u64> {
        self.in_flight.iter().skip(first).take(count).copied().chain([self.next_seq]).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn holds_what_a_queue_in_memory_would(
        when_full in prop_oneof![Just(WhenFull::DropOldest), Just(WhenFull::DropNewest)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let (_dir, path) = place();
        let options = Options { max_bytes: MAX_BYTES, when_full };
        let mut outbox = Outbox::open(&path, options).unwrap();
        let mut model = Model {
            when_full, next_seq: 1, queue: BTreeMap::new(), in_flight: BTreeSet::new(), full: BTreeMap::new(),
            refused: BTreeMap::new(), published: BTreeMap::new(),
        };
        for (mark, step) in (1..).zip(steps) {
            match step {
                Step::Append(entries) => {
                    let made = entries.iter().map(|(p, length, weight)| entry(*p, *length, *weight)).collect();
                    outbox.append(mark, made, 0).unwrap();
                    entries.into_iter().for_each(|(p, length, weight)| model.append(p, length, weight));
                    prop_assert_eq!(outbox.mark(), mark);
                }
                Step::Fetch { priority, max } => {
                    let found = outbox.fetch(priority, 0, max).unwrap();
                    let expected: Vec<_> = model.queue.iter().filter(|(_, q)| q.priority == priority).take(max)
                        .map(|(seq, q)| (*seq, body(*seq, q.length), q.weight)).collect();
                    model.in_flight.extend(expected.iter().map(|(seq, ..)| *seq));
                    let found: Vec<_> = found.into_iter().map(|s| (s.seq, s.bytes, s.weight)).collect();
                    prop_assert_eq!(found, expected);
                }
                Step::Acknowledge { first, count } => {
                    let seqs = model.choose(first, count);
                    outbox.acknowledge(&seqs).unwrap();
                    for seq in seqs {
                        model.in_flight.remove(&seq);
                        model.published.extend(model.queue.remove(&seq).map(|queued| (seq, queued.weight)));
                    }
                }
                Step::Discard { first } => {
                    let seqs = model.choose(first, 1);
                    outbox.discard(&seqs, 0).unwrap();
                    for seq in seqs {
                        model.in_flight.remove(&seq);
                        model.refused.extend(model.queue.remove(&seq).map(|queued| (seq, queued.weight)));
                    }
                }
                Step::Reopen => {
                    drop(outbox);
                    outbox = Outbox::open(&path, options).unwrap();
                    model.in_flight.clear();
                }
            }
            prop_assert_eq!(outbox.totals(), &model.totals());
            prop_assert!(outbox.totals().balanced());
            prop_assert!(outbox.totals().queued_bytes <= MAX_BYTES);
            prop_assert_eq!(outbox.next_seq(), model.next_seq);
            let ranges = outbox.dropped().unwrap();
            let recorded: Vec<u64> = ranges.iter().flat_map(|range| range.seq_from..=range.seq_to).collect();
            let expected: BTreeSet<u64> = model.full.keys().chain(model.refused.keys()).copied().collect();
            prop_assert_eq!(recorded, expected.into_iter().collect::<Vec<_>>());
            let apart = |pair: &[outbox::DroppedRange]| {
                pair[0].seq_to + 1 < pair[1].seq_from || pair[0].reason != pair[1].reason
            };
            prop_assert!(ranges.windows(2).all(apart), "neighbours are one range");
        }
    }
}
