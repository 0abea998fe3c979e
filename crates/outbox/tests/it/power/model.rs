//! What an outbox has to hold, in memory. Which entries a full outbox drops, it learns from the outbox.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{Account, Count, DropReason, Entry, Lane, Outbox, Request, Share, Totals};

use crate::common::{ACCOUNT, SINKS, lanes_of, queued};

type Key = (Lane, u64);

/// A request before it is known which entries it meets.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// Entries of these lanes, with payloads about as long as this.
    Append(Vec<(Lane, usize)>),
    /// Some of those in flight to a sink, from the `first` on.
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
}

/// Everything that can be seen of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    mark: u64,
    next: [u64; 2],
    sinks: BTreeMap<&'static str, SinkView>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SinkView {
    totals: Totals,
    /// Of the only one there is.
    account: Account,
    queue: BTreeMap<Key, (Vec<u8>, u64)>,
    dropped: BTreeMap<Key, DropReason>,
}

#[derive(Debug, Clone)]
struct Queued {
    payload: Vec<u8>,
    weight: u32,
}

#[derive(Debug, Clone, Default)]
struct Sink {
    queue: BTreeMap<Key, Queued>,
    in_flight: BTreeSet<Key>,
    accepted: Count,
    published: Count,
    full: Count,
    refused: Count,
    dropped: BTreeMap<Key, DropReason>,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    mark: u64,
    next: [u64; 2],
    sinks: BTreeMap<&'static str, Sink>,
}

impl Model {
    pub(crate) fn empty() -> Model {
        Model { mark: 0, next: [1, 1], sinks: SINKS.map(|sink| (sink, Sink::default())).into() }
    }

    /// The requests that are wished, and what holds after all of them. `tag` stands in each payload: none is like another.
    pub(crate) fn plan(&self, wishes: &[Wish], tag: u64) -> (Vec<Request>, Model) {
        let mut after = self.clone();
        let requests = wishes.iter().map(|wish| after.grant(wish, tag)).collect();
        (requests, after)
    }

    fn grant(&mut self, wish: &Wish, tag: u64) -> Request {
        match wish {
            Wish::Append(entries) => {
                self.mark += 1;
                let made = entries.iter().map(|(lane, length)| self.append(*lane, *length, tag));
                let entries = made.collect();
                Request::Append { mark: self.mark, entries, now_ms: 0 }
            }
            Wish::Acknowledge { sink, lane, first, count } => {
                let model = self.sinks.get_mut(SINKS[*sink]).unwrap();
                let seqs = model.choose(*lane, *first, *count);
                for seq in &seqs {
                    let taken = model.take((*lane, *seq));
                    add(&mut model.published, taken.weight);
                }
                Request::Acknowledge { sink: SINKS[*sink].into(), lane: *lane, seqs }
            }
            Wish::Discard { sink, lane, first } => {
                let model = self.sinks.get_mut(SINKS[*sink]).unwrap();
                let seqs = model.choose(*lane, *first, 1);
                for seq in &seqs {
                    let taken = model.take((*lane, *seq));
                    add(&mut model.refused, taken.weight);
                    model.dropped.insert((*lane, *seq), DropReason::Refused);
                }
                let reason = DropReason::Refused;
                Request::Discard { sink: SINKS[*sink].into(), lane: *lane, seqs, reason, now_ms: 0 }
            }
        }
    }

    fn append(&mut self, lane: Lane, length: usize, tag: u64) -> Entry {
        let next = &mut self.next[usize::from(lane == Lane::Readings)];
        let seq = *next;
        *next += 1;
        let weight = u32::try_from(seq % 5).unwrap();
        let payload = format!("{seq} {tag}{}", "x".repeat(length)).into_bytes();
        for (name, sink) in &mut self.sinks {
            if lanes_of(name).contains(&lane) {
                sink.queue.insert((lane, seq), Queued { payload: payload.clone(), weight });
                add(&mut sink.accepted, weight);
            }
        }
        Entry::new(lane, payload, vec![Share { account: ACCOUNT.into(), weight }]).unwrap()
    }

    /// This model with the entries that the outbox dropped because it was full, if it then looks as `view`.
    pub(crate) fn matches(&self, view: &View) -> Option<Model> {
        let mut model = self.clone();
        for (name, sink) in &mut model.sinks {
            let full = view.sinks[name].dropped.iter().filter(|(_, reason)| **reason == DropReason::Full);
            for (key, _) in full.filter(|(key, _)| !self.sinks[name].dropped.contains_key(key)) {
                if sink.in_flight.contains(key) {
                    return None;
                }
                let gone = sink.queue.remove(key)?;
                add(&mut sink.full, gone.weight);
                sink.dropped.insert(*key, DropReason::Full);
            }
        }
        (model.view(view) == *view).then_some(model)
    }

    /// How many entries a full outbox has dropped.
    pub(crate) fn full(&self) -> u64 {
        self.sinks.values().map(|sink| sink.full.entries).sum()
    }

    /// How an outbox like this looks. What it takes on the disk is as in `found`.
    fn view(&self, found: &View) -> View {
        let view = |(name, sink): (&&'static str, &Sink)| (*name, sink.view(&found.sinks[name]));
        View { mark: self.mark, next: self.next, sinks: self.sinks.iter().map(view).collect() }
    }

    /// A sink fetched everything.
    pub(crate) fn fetched(&mut self) {
        self.sinks.values_mut().for_each(|sink| sink.in_flight = sink.queue.keys().copied().collect());
    }

    /// Another process has it.
    pub(crate) fn reopened(&mut self) {
        self.sinks.values_mut().for_each(|sink| sink.in_flight.clear());
    }

    /// In a line, for a message.
    pub(crate) fn brief(&self) -> String {
        let queued: Vec<Vec<&Key>> = self.sinks.values().map(|sink| sink.queue.keys().collect()).collect();
        format!("mark {}, next {:?}, queued {queued:?}", self.mark, self.next)
    }
}

impl Sink {
    fn choose(&self, lane: Lane, first: usize, count: usize) -> Vec<u64> {
        let of_lane = self.in_flight.iter().filter(|(of, _)| *of == lane);
        of_lane.map(|(_, seq)| *seq).skip(first).take(count).collect()
    }

    fn take(&mut self, key: Key) -> Queued {
        self.in_flight.remove(&key);
        self.queue.remove(&key).unwrap()
    }

    fn view(&self, found: &SinkView) -> SinkView {
        let mut queued = Count::default();
        self.queue.values().for_each(|entry| add(&mut queued, entry.weight));
        let totals = Totals {
            accepted: self.accepted,
            published: self.published,
            queued,
            dropped_full: self.full,
            dropped_refused: self.refused,
            dropped_damaged: Count::default(),
            dropped_same_time: Count::default(),
            queued_bytes: found.totals.queued_bytes,
        };
        assert!(totals.balanced(), "the model itself");
        let account = Account {
            accepted: self.accepted.weight,
            published: self.published.weight,
            queued: queued.weight,
            dropped_full: self.full.weight,
            dropped_refused: self.refused.weight,
            dropped_damaged: 0,
        };
        let entry = |queued: &Queued| (queued.payload.clone(), u64::from(queued.weight));
        SinkView {
            account,
            totals,
            queue: self.queue.iter().map(|(key, queued)| (*key, entry(queued))).collect(),
            dropped: self.dropped.clone(),
        }
    }
}

fn add(count: &mut Count, weight: u32) {
    count.entries += 1;
    count.weight += u64::from(weight);
}

impl View {
    /// Looks at all of `outbox`; everything in it is in flight afterwards.
    pub(crate) fn of(outbox: &mut Outbox) -> View {
        let sinks = SINKS.map(|sink| (sink, SinkView::of(outbox, sink)));
        let next = [outbox.next_seq(Lane::Alerts), outbox.next_seq(Lane::Readings)];
        View { mark: outbox.mark(), next, sinks: sinks.into() }
    }
}

impl SinkView {
    fn of(outbox: &mut Outbox, sink: &str) -> SinkView {
        let found = lanes_of(sink).into_iter().flat_map(|lane| queued(outbox, sink, lane));
        let queue = found.map(|s| ((s.lane, s.seq), (s.payload.to_vec(), s.weight))).collect();
        let ranges = outbox.dropped(sink);
        let seqs = ranges.iter().flat_map(|r| (r.seq_from..=r.seq_to).map(|seq| ((r.lane, seq), r.reason)));
        SinkView {
            account: outbox.accounts(sink).unwrap().get(ACCOUNT).copied().unwrap_or_default(),
            totals: outbox.totals(sink).unwrap().clone(),
            queue,
            dropped: seqs.collect(),
        }
    }
}
