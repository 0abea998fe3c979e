//! What an outbox that drops its oldest has to hold, in memory.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{
    Account, Body, Change, Count, DropReason, ENTRY_OVERHEAD, Entry, Outbox, Priority, Share, Totals,
};

use crate::common::{ACCOUNT, SHARE_BYTES};

const TOPIC: &str = "topic";

/// A change before it is known which entries it meets.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// Entries of these priorities, with bodies about as long as this.
    Append(Vec<(Priority, usize)>),
    /// Some of those queued, from the `first` on.
    Acknowledge {
        first: usize,
        count: usize,
    },
    Discard {
        first: usize,
    },
}

/// Everything that can be seen of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    mark: u64,
    next_seq: u64,
    totals: Totals,
    /// Of the only one there is.
    account: Account,
    queue: BTreeMap<u64, (Priority, Vec<u8>, u64)>,
    dropped: BTreeMap<u64, DropReason>,
}

#[derive(Debug, Clone)]
struct Queued {
    priority: Priority,
    bytes: Vec<u8>,
    weight: u32,
}

impl Queued {
    fn size(&self) -> u64 {
        ENTRY_OVERHEAD + SHARE_BYTES + (TOPIC.len() + self.bytes.len()) as u64
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    max_bytes: u64,
    mark: u64,
    next_seq: u64,
    queue: BTreeMap<u64, Queued>,
    in_flight: BTreeSet<u64>,
    accepted: Count,
    published: Count,
    full: Count,
    refused: Count,
    dropped: BTreeMap<u64, DropReason>,
}

impl Model {
    pub(crate) fn empty(max_bytes: u64) -> Model {
        let none = Count::default();
        Model {
            max_bytes,
            mark: 0,
            next_seq: 1,
            queue: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            accepted: none,
            published: none,
            full: none,
            refused: none,
            dropped: BTreeMap::new(),
        }
    }

    /// The changes that are wished, and what holds after all of them. `tag` stands in each body: none is like another.
    pub(crate) fn plan(&self, wishes: &[Wish], tag: u64) -> (Vec<Change>, Model) {
        let mut after = self.clone();
        let changes = wishes.iter().map(|wish| after.grant(wish, tag)).collect();
        (changes, after)
    }

    fn grant(&mut self, wish: &Wish, tag: u64) -> Change {
        match wish {
            Wish::Append(entries) => {
                self.mark += 1;
                let made = entries.iter().map(|(priority, length)| self.append(*priority, *length, tag));
                let entries = made.collect();
                Change::Append { mark: self.mark, entries, now_ms: 0 }
            }
            Wish::Acknowledge { first, count } => {
                let seqs: Vec<u64> = self.queue.keys().skip(*first).take(*count).copied().collect();
                for seq in &seqs {
                    let taken = self.take(*seq);
                    add(&mut self.published, taken.weight);
                }
                Change::Acknowledge(seqs)
            }
            Wish::Discard { first } => {
                let seqs: Vec<u64> = self.queue.keys().skip(*first).take(1).copied().collect();
                for seq in &seqs {
                    let taken = self.take(*seq);
                    add(&mut self.refused, taken.weight);
                    self.dropped.insert(*seq, DropReason::Refused);
                }
                Change::Discard { seqs, now_ms: 0 }
            }
        }
    }

    fn append(&mut self, priority: Priority, length: usize, tag: u64) -> Entry {
        let seq = self.next_seq;
        let weight = u32::try_from(seq % 5).unwrap();
        let text = |seq: &str| format!("{{\"seq\":{seq}}}{tag}{}", "x".repeat(length)).into_bytes();
        let queued = Queued { priority, bytes: text(&seq.to_string()), weight };
        self.next_seq += 1;
        add(&mut self.accepted, weight);
        match self.victims(&queued) {
            None => self.drop_full(seq, weight),
            Some(victims) => {
                for victim in victims {
                    let taken = self.take(victim);
                    self.drop_full(victim, taken.weight);
                }
                self.queue.insert(seq, queued);
            }
        }
        let shares = vec![Share { account: ACCOUNT.into(), weight }];
        Entry::new(priority, TOPIC.to_owned(), Body::new(text(""), 7).unwrap(), shares).unwrap()
    }

    /// Who goes for `incoming`; `None` where that is not enough.
    fn victims(&self, incoming: &Queued) -> Option<Vec<u64>> {
        let of = |priority| {
            let idle = self.queue.iter().filter(|(seq, _)| !self.in_flight.contains(seq));
            idle.filter(move |(_, queued)| queued.priority == priority)
        };
        let urgent = of(Priority::Urgent).filter(|_| incoming.priority == Priority::Urgent);
        let mut candidates = of(Priority::Normal).chain(urgent);
        let mut left = self.queued_bytes() + incoming.size();
        let mut victims = Vec::new();
        while left > self.max_bytes {
            let (seq, queued) = candidates.next()?;
            left -= queued.size();
            victims.push(*seq);
        }
        Some(victims)
    }

    fn take(&mut self, seq: u64) -> Queued {
        self.in_flight.remove(&seq);
        self.queue.remove(&seq).unwrap()
    }

    fn drop_full(&mut self, seq: u64, weight: u32) {
        add(&mut self.full, weight);
        self.dropped.insert(seq, DropReason::Full);
    }

    fn queued_bytes(&self) -> u64 {
        self.queue.values().map(Queued::size).sum()
    }

    pub(crate) fn view(&self) -> View {
        let mut queued = Count::default();
        self.queue.values().for_each(|entry| add(&mut queued, entry.weight));
        let totals = Totals {
            accepted: self.accepted,
            published: self.published,
            queued,
            dropped_full: self.full,
            dropped_refused: self.refused,
            dropped_damaged: Count::default(),
            queued_bytes: self.queued_bytes(),
        };
        assert!(totals.balanced(), "the model itself");
        let entry = |queued: &Queued| (queued.priority, queued.bytes.clone(), u64::from(queued.weight));
        let account = Account {
            accepted: self.accepted.weight,
            published: self.published.weight,
            queued: queued.weight,
            dropped_full: self.full.weight,
            dropped_refused: self.refused.weight,
            dropped_damaged: 0,
        };
        View {
            account,
            mark: self.mark,
            next_seq: self.next_seq,
            totals,
            queue: self.queue.iter().map(|(seq, queued)| (*seq, entry(queued))).collect(),
            dropped: self.dropped.clone(),
        }
    }

    /// Somebody fetched everything.
    pub(crate) fn fetched(&mut self) {
        self.in_flight = self.queue.keys().copied().collect();
    }

    /// Another process has it.
    pub(crate) fn reopened(&mut self) {
        self.in_flight.clear();
    }
}

fn add(count: &mut Count, weight: u32) {
    count.entries += 1;
    count.weight += u64::from(weight);
}

impl View {
    /// Looks at all of `outbox`; everything in it is in flight afterwards.
    pub(crate) fn of(outbox: &mut Outbox) -> View {
        let mut queue = BTreeMap::new();
        for priority in [Priority::Urgent, Priority::Normal] {
            let mut after = 0;
            loop {
                let found = outbox.fetch(priority, after, 100).unwrap();
                let Some(last) = found.last() else { break };
                after = last.seq;
                queue.extend(found.into_iter().map(|s| (s.seq, (s.priority, s.bytes, s.weight))));
            }
        }
        let ranges = outbox.dropped();
        let dropped =
            ranges.iter().flat_map(|r| (r.seq_from..=r.seq_to).map(|seq| (seq, r.reason))).collect();
        View {
            account: outbox.accounts().get(ACCOUNT).copied().unwrap_or_default(),
            mark: outbox.mark(),
            next_seq: outbox.next_seq(),
            totals: outbox.totals().clone(),
            queue,
            dropped,
        }
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// In a line, for a message.
    pub(crate) fn brief(&self) -> String {
        let seqs: Vec<&u64> = self.queue.keys().collect();
        format!("mark {}, next seq {}, queued {seqs:?}", self.mark, self.next_seq)
    }
}
