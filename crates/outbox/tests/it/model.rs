//! Random use against a simple queue in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{body, large, open_with, place};
use outbox::{
    Account, Accounts, Body, Count, ENTRY_OVERHEAD, Entry, Options, Priority, Share, Totals, WhenFull,
};
use proptest::prelude::*;

const MAX_BYTES: u64 = 1500;

/// Accounts by number.
type Shares = Vec<(usize, u32)>;

const ACCOUNTS: [&str; 3] = ["mqtt.floor", "lorawan.roof", "ü"];

fn shares_of(shares: &Shares) -> impl Iterator<Item = Share> {
    shares.iter().map(|(account, weight)| Share { account: ACCOUNTS[*account].into(), weight: *weight })
}

fn weight(shares: &Shares) -> u64 {
    shares.iter().map(|(_, weight)| u64::from(*weight)).sum()
}

fn entry(priority: Priority, length: usize, shares: &Shares) -> Entry {
    let bytes = [b"{\"seq\":".as_slice(), b"}", &vec![b' '; length]].concat();
    let body = Body::new(bytes, 7).unwrap();
    Entry::new(priority, "topic".to_owned(), body, shares_of(shares).collect()).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(Priority, usize, Shares)>),
    Fetch { priority: Priority, max: usize },
    Acknowledge { first: usize, count: usize },
    Discard { first: usize },
    Reopen,
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![1 => Just(Priority::Urgent), 3 => Just(Priority::Normal)]
}

fn step() -> impl Strategy<Value = Step> {
    let shares = prop::collection::vec((0..ACCOUNTS.len(), any::<u32>()), 0..4);
    let entries = prop::collection::vec((priority(), 0..300usize, shares), 0..6);
    prop_oneof![
        6 => entries.prop_map(Step::Append),
        2 => (priority(), 0..8usize).prop_map(|(priority, max)| Step::Fetch { priority, max }),
        2 => (0..8usize, 1..5usize).prop_map(|(first, count)| Step::Acknowledge { first, count }),
        1 => (0..8usize).prop_map(|first| Step::Discard { first }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone)]
struct Queued {
    priority: Priority,
    length: usize,
    shares: Shares,
    size: u64,
}

#[derive(Debug)]
struct Model {
    when_full: WhenFull,
    next_seq: u64,
    queue: BTreeMap<u64, Queued>,
    in_flight: BTreeSet<u64>,
    full: BTreeMap<u64, Shares>,
    refused: BTreeMap<u64, Shares>,
    published: BTreeMap<u64, Shares>,
}

impl Model {
    fn bytes(&self) -> u64 {
        self.queue.values().map(|queued| queued.size).sum()
    }

    fn append(&mut self, priority: Priority, length: usize, shares: Shares) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let share_bytes: usize = shares_of(&shares).map(|share| share.account.len() + 5).sum();
        let size = ENTRY_OVERHEAD + (share_bytes + "topic".len() + body(seq, length).len()) as u64;
        let mut left = self.queue.clone();
        for victim in self.victims(priority) {
            if left.values().map(|queued| queued.size).sum::<u64>() + size > MAX_BYTES {
                left.remove(&victim);
            }
        }
        if left.values().map(|queued| queued.size).sum::<u64>() + size > MAX_BYTES {
            self.full.insert(seq, shares);
            return;
        }
        for (seq, queued) in std::mem::replace(&mut self.queue, left) {
            if !self.queue.contains_key(&seq) {
                self.full.insert(seq, queued.shares);
            }
        }
        self.queue.insert(seq, Queued { priority, length, shares, size });
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

    fn queued(&self) -> BTreeMap<u64, Shares> {
        self.queue.iter().map(|(seq, queued)| (*seq, queued.shares.clone())).collect()
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::new();
        let mut put_down = |gone: &BTreeMap<u64, Shares>, part: fn(&mut Account) -> &mut u64| {
            for share in gone.values().flat_map(shares_of) {
                let account = accounts.entry(share.account).or_default();
                account.accepted += u64::from(share.weight);
                *part(account) += u64::from(share.weight);
            }
        };
        put_down(&self.published, |account| &mut account.published);
        put_down(&self.queued(), |account| &mut account.queued);
        put_down(&self.full, |account| &mut account.dropped_full);
        put_down(&self.refused, |account| &mut account.dropped_refused);
        accounts
    }

    fn totals(&self) -> Totals {
        let count = |gone: &BTreeMap<u64, Shares>| Count {
            entries: gone.len() as u64,
            weight: gone.values().map(weight).sum(),
        };
        let queued = self.queued();
        let parts = [&self.published, &queued, &self.full, &self.refused];
        let everything = parts.into_iter().flatten().map(|(seq, shares)| (*seq, shares.clone())).collect();
        Totals {
            accepted: count(&everything),
            published: count(&self.published),
            queued: count(&queued),
            dropped_full: count(&self.full),
            dropped_refused: count(&self.refused),
            dropped_damaged: Count::default(),
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
        let options = Options { max_bytes: MAX_BYTES, when_full, ..large() };
        let mut outbox = open_with(&path, options);
        let mut model = Model {
            when_full, next_seq: 1, queue: BTreeMap::new(), in_flight: BTreeSet::new(), full: BTreeMap::new(),
            refused: BTreeMap::new(), published: BTreeMap::new(),
        };
        for (mark, step) in (1..).zip(steps) {
            match step {
                Step::Append(entries) => {
                    let made = entries.iter().map(|(p, length, shares)| entry(*p, *length, shares)).collect();
                    outbox.append(mark, made, 0).unwrap();
                    entries.into_iter().for_each(|(p, length, shares)| model.append(p, length, shares));
                    prop_assert_eq!(outbox.mark(), mark);
                }
                Step::Fetch { priority, max } => {
                    let found = outbox.fetch(priority, 0, max).unwrap();
                    let expected: Vec<_> = model.queue.iter().filter(|(_, q)| q.priority == priority).take(max)
                        .map(|(seq, q)| (*seq, body(*seq, q.length), weight(&q.shares))).collect();
                    model.in_flight.extend(expected.iter().map(|(seq, ..)| *seq));
                    let found: Vec<_> = found.into_iter().map(|s| (s.seq, s.bytes, s.weight)).collect();
                    prop_assert_eq!(found, expected);
                }
                Step::Acknowledge { first, count } => {
                    let seqs = model.choose(first, count);
                    outbox.acknowledge(&seqs).unwrap();
                    for seq in seqs {
                        model.in_flight.remove(&seq);
                        model.published.extend(model.queue.remove(&seq).map(|queued| (seq, queued.shares)));
                    }
                }
                Step::Discard { first } => {
                    let seqs = model.choose(first, 1);
                    outbox.discard(&seqs, 0).unwrap();
                    for seq in seqs {
                        model.in_flight.remove(&seq);
                        model.refused.extend(model.queue.remove(&seq).map(|queued| (seq, queued.shares)));
                    }
                }
                Step::Reopen => {
                    drop(outbox);
                    outbox = open_with(&path, options);
                    model.in_flight.clear();
                }
            }
            prop_assert_eq!(outbox.totals(), &model.totals());
            prop_assert!(outbox.totals().balanced());
            prop_assert_eq!(outbox.accounts(), &model.accounts());
            prop_assert!(outbox.totals().queued_bytes <= MAX_BYTES);
            prop_assert_eq!(outbox.next_seq(), model.next_seq);
            let ranges = outbox.dropped();
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
