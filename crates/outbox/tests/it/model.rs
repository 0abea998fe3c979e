//! Random use against simple queues in memory, one for each sink.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common::{DATABASE, SINKS, lanes_of, large, open_with, place, queued};
use outbox::{Accounts, Count, DropReason, Entry, Lane, Options, Outbox, Share, WhenFull};
use proptest::prelude::*;

const MAX_BYTES: u64 = 96 * 1024;
/// A segment is a sixteenth of the limit.
const SEGMENT: u64 = MAX_BYTES / 16;
const ACCOUNTS: [&str; 3] = ["mqtt.floor", "lorawan.roof", "ü"];

/// Accounts by number.
type Shares = Vec<(usize, u32)>;

fn shares_of(shares: &Shares) -> impl Iterator<Item = Share> {
    shares.iter().map(|(account, weight)| Share { account: ACCOUNTS[*account].into(), weight: *weight })
}

fn weight(shares: &Shares) -> u64 {
    shares.iter().map(|(_, weight)| u64::from(*weight)).sum()
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(Lane, usize, Shares)>),
    Fetch {
        sink: usize,
        lane: Lane,
        after: usize,
        max: usize,
    },
    Acknowledge {
        sink: usize,
        lane: Lane,
        first: usize,
        count: usize,
    },
    Discard {
        sink: usize,
        lane: Lane,
        first: usize,
    },
    /// A sink takes everything that it can get.
    Drain {
        sink: usize,
    },
    Flush,
    Reopen,
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![1 => Just(Lane::Alerts), 4 => Just(Lane::Aggregates), 2 => Just(Lane::Readings)]
}

fn step() -> impl Strategy<Value = Step> {
    let shares = prop::collection::vec((0..ACCOUNTS.len(), any::<u32>()), 0..4);
    let entries = prop::collection::vec((lane(), 0..2_500usize, shares), 0..12);
    let sink = || 0..SINKS.len();
    prop_oneof![
        8 => entries.prop_map(Step::Append),
        2 => (sink(), lane(), 0..8usize, 0..30usize)
            .prop_map(|(sink, lane, after, max)| Step::Fetch { sink, lane, after, max }),
        3 => (sink(), lane(), 0..8usize, 1..20usize)
            .prop_map(|(sink, lane, first, count)| Step::Acknowledge { sink, lane, first, count }),
        1 => (sink(), lane(), 0..8usize).prop_map(|(sink, lane, first)| Step::Discard { sink, lane, first }),
        1 => sink().prop_map(|sink| Step::Drain { sink }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone)]
struct Queued {
    payload: Vec<u8>,
    shares: Shares,
}

type Queue = BTreeMap<u64, Queued>;

/// What one sink has to see.
#[derive(Debug, Default)]
struct Sink {
    queues: BTreeMap<Lane, Queue>,
    in_flight: BTreeSet<(Lane, u64)>,
    published: Vec<Shares>,
    refused: Vec<(Lane, u64, Shares)>,
    full: Vec<(Lane, u64, Shares)>,
}

impl Sink {
    fn choose(&self, lane: Lane, first: usize, count: usize) -> Vec<u64> {
        let of_lane = self.in_flight.iter().filter(|(of, _)| *of == lane);
        of_lane.map(|(_, seq)| *seq).skip(first).take(count).collect()
    }

    fn take(&mut self, lane: Lane, seq: u64) -> Shares {
        self.in_flight.remove(&(lane, seq));
        self.queues.get_mut(&lane).unwrap().remove(&seq).unwrap().shares
    }

    /// Learns from the outbox what it dropped because it was full: entries that were queued and not in flight.
    fn note_dropped(&mut self, outbox: &Outbox, name: &str) {
        let known: BTreeSet<(Lane, u64)> = self.full.iter().map(|(lane, seq, _)| (*lane, *seq)).collect();
        for range in outbox.dropped(name).iter().filter(|range| range.reason == DropReason::Full) {
            for seq in (range.seq_from..=range.seq_to).filter(|seq| !known.contains(&(range.lane, *seq))) {
                assert!(!self.in_flight.contains(&(range.lane, seq)), "{seq} is in flight");
                let gone = self.queues.get_mut(&range.lane).unwrap().remove(&seq);
                self.full.push((range.lane, seq, gone.expect("only what is queued is dropped").shares));
            }
        }
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::new();
        let queued = self.queues.values().flat_map(|queue| queue.values().map(|queued| &queued.shares));
        let parts = [
            (self.published.iter().collect::<Vec<_>>(), 0),
            (queued.collect(), 1),
            (self.full.iter().map(|(_, _, shares)| shares).collect(), 2),
            (self.refused.iter().map(|(_, _, shares)| shares).collect(), 3),
        ];
        for (all, part) in parts {
            for share in all.into_iter().flat_map(shares_of) {
                let account = accounts.entry(share.account).or_default();
                let weight = u64::from(share.weight);
                account.accepted += weight;
                let counter = match part {
                    0 => &mut account.published,
                    1 => &mut account.queued,
                    2 => &mut account.dropped_full,
                    _ => &mut account.dropped_refused,
                };
                *counter += weight;
            }
        }
        accounts
    }
}

#[derive(Debug, Default)]
struct Model {
    sinks: BTreeMap<&'static str, Sink>,
    next_seq: u64,
    next_reading: u64,
    appended: u64,
}

impl Model {
    fn append(&mut self, lane: Lane, length: usize, shares: &Shares) -> Entry {
        let next = if lane == Lane::Readings { &mut self.next_reading } else { &mut self.next_seq };
        *next += 1;
        let seq = *next;
        let payload = [seq.to_string().as_bytes(), &vec![b' '; length]].concat();
        self.appended += payload.len() as u64;
        for (name, sink) in &mut self.sinks {
            if lanes_of(name).contains(&lane) {
                let queued = Queued { payload: payload.clone(), shares: shares.clone() };
                sink.queues.entry(lane).or_default().insert(seq, queued);
            }
        }
        Entry::new(lane, payload, shares_of(shares).collect()).unwrap()
    }

    fn check(&mut self, outbox: &Outbox) {
        for (name, sink) in &mut self.sinks {
            sink.note_dropped(outbox, name);
            let totals = outbox.totals(name).unwrap();
            assert!(totals.balanced(), "{totals:?}");
            assert_eq!(totals.dropped_damaged, Count::default());
            let count = |shares: Vec<&Shares>| Count {
                entries: shares.len() as u64,
                weight: shares.into_iter().map(weight).sum(),
            };
            let queued = sink.queues.values().flat_map(|queue| queue.values().map(|queued| &queued.shares));
            assert_eq!(totals.queued, count(queued.collect()), "queued for {name}");
            assert_eq!(totals.published, count(sink.published.iter().collect()));
            assert_eq!(totals.dropped_full, count(sink.full.iter().map(|(_, _, shares)| shares).collect()));
            assert_eq!(outbox.accounts(name).unwrap(), &sink.accounts());
            let refused: BTreeSet<(Lane, u64)> =
                sink.refused.iter().map(|(lane, seq, _)| (*lane, *seq)).collect();
            let ranges = outbox.dropped(name);
            let ranges = ranges.iter().filter(|range| range.reason == DropReason::Refused);
            let found = ranges.flat_map(|range| (range.seq_from..=range.seq_to).map(|seq| (range.lane, seq)));
            assert_eq!(found.collect::<BTreeSet<_>>(), refused);
        }
        if self.appended < MAX_BYTES / 2 {
            assert!(self.sinks.values().all(|sink| sink.full.is_empty()), "dropped long before the limit");
        }
        assert_eq!(outbox.next_seq(Lane::Alerts), self.next_seq + 1);
        assert_eq!(outbox.next_seq(Lane::Readings), self.next_reading + 1);
    }
}

fn bytes_on_disk(path: &Path) -> u64 {
    let lanes = Lane::ALL.into_iter().flat_map(|lane| fs::read_dir(path.join(lane.as_str())).unwrap());
    lanes.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn holds_what_queues_in_memory_would(
        when_full in prop_oneof![Just(WhenFull::DropOldest), Just(WhenFull::DropNewest)],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (_dir, path) = place();
        let options = Options { max_bytes: MAX_BYTES, when_full, ..large() };
        let mut outbox = open_with(&path, options);
        let mut model = Model { sinks: SINKS.map(|name| (name, Sink::default())).into(), ..Model::default() };
        for (mark, step) in (1..).zip(steps) {
            match step {
                Step::Append(entries) => {
                    let entries = entries.iter().map(|(lane, length, shares)| model.append(*lane, *length, shares));
                    let entries = entries.collect();
                    outbox.append(mark, entries, 0).unwrap();
                    prop_assert_eq!(outbox.mark(), mark);
                }
                Step::Fetch { sink, lane, after, max } => {
                    let sink_model = model.sinks.get_mut(SINKS[sink]).unwrap();
                    let queue = sink_model.queues.entry(lane).or_default();
                    let after = queue.keys().nth(after).copied().unwrap_or(0);
                    let expected: Vec<_> = queue.range(after + 1..).take(max)
                        .map(|(seq, queued)| (*seq, queued.payload.clone(), weight(&queued.shares))).collect();
                    sink_model.in_flight.extend(expected.iter().map(|(seq, ..)| (lane, *seq)));
                    let found = outbox.fetch(SINKS[sink], lane, after, max).unwrap();
                    let found: Vec<_> = found.into_iter().map(|s| (s.seq, s.payload.to_vec(), s.weight)).collect();
                    prop_assert_eq!(found, expected);
                }
                Step::Acknowledge { sink, lane, first, count } => {
                    let sink_model = model.sinks.get_mut(SINKS[sink]).unwrap();
                    let seqs = sink_model.choose(lane, first, count);
                    outbox.acknowledge(SINKS[sink], lane, &[seqs.as_slice(), &[1 << 50]].concat()).unwrap();
                    for seq in seqs {
                        let shares = sink_model.take(lane, seq);
                        sink_model.published.push(shares);
                    }
                }
                Step::Discard { sink, lane, first } => {
                    let sink_model = model.sinks.get_mut(SINKS[sink]).unwrap();
                    let seqs = sink_model.choose(lane, first, 1);
                    outbox.discard(SINKS[sink], lane, &seqs, 0).unwrap();
                    for seq in seqs {
                        let shares = sink_model.take(lane, seq);
                        sink_model.refused.push((lane, seq, shares));
                    }
                }
                Step::Drain { sink } => {
                    for lane in lanes_of(SINKS[sink]) {
                        let found = queued(&mut outbox, SINKS[sink], lane);
                        let seqs: Vec<u64> = found.iter().map(|stored| stored.seq).collect();
                        outbox.acknowledge(SINKS[sink], lane, &seqs).unwrap();
                        let sink_model = model.sinks.get_mut(SINKS[sink]).unwrap();
                        for stored in found {
                            let shares = sink_model.take(lane, stored.seq);
                            prop_assert_eq!(stored.weight, weight(&shares));
                            sink_model.published.push(shares);
                        }
                        let left: Vec<u64> = sink_model.queues.get(&lane).into_iter().flat_map(BTreeMap::keys).copied().collect();
                        prop_assert!(left.is_empty(), "{} did not get {left:?} of {lane:?}", SINKS[sink]);
                    }
                }
                Step::Flush => outbox.flush().unwrap(),
                Step::Reopen => {
                    drop(outbox);
                    outbox = open_with(&path, options);
                    model.sinks.values_mut().for_each(|sink| sink.in_flight.clear());
                }
            }
            model.check(&outbox);
            let held = bytes_on_disk(&path);
            let in_flight: usize = model.sinks.values().map(|sink| sink.in_flight.len()).sum();
            let limit = MAX_BYTES + 2 * SEGMENT + in_flight as u64 * SEGMENT;
            prop_assert!(held <= limit, "{held} bytes on the disk, {in_flight} in flight");
        }
        let mut outbox = open_again(outbox, &path, options);
        for (name, sink) in &model.sinks {
            for lane in lanes_of(name) {
                let found: Vec<_> = queued(&mut outbox, name, lane).into_iter().map(|s| (s.seq, s.payload.to_vec())).collect();
                let expected = sink.queues.get(&lane).into_iter().flatten();
                let expected: Vec<_> = expected.map(|(seq, queued)| (*seq, queued.payload.clone())).collect();
                prop_assert_eq!(found, expected);
            }
        }
        let found = outbox::Outbox::inspect(&path);
        let is_in_use = matches!(found, Err(outbox::OutboxError::InUse { .. }));
        prop_assert!(is_in_use, "{:?}", found);
        drop(outbox);
        let found = outbox::Outbox::inspect(&path).unwrap();
        let database = found.sinks.iter().find(|sink| &*sink.name == DATABASE).unwrap();
        prop_assert_eq!(&database.accounts, &model.sinks[DATABASE].accounts());
    }
}

fn open_again(outbox: Outbox, path: &Path, options: Options) -> Outbox {
    drop(outbox);
    open_with(path, options)
}
