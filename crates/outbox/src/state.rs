//! The outbox's state without the entries: numbers, and for each sink its progress, counters and dropped ranges.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::accounts::{decode_accounts, encode_accounts};
use crate::counters::{Counters, decode_totals, encode_totals};
use crate::dropped::{self, DroppedRanges};
use crate::encoding::{Decoder, put_text, put_u64};
use crate::lane::{Lane, PerLane};
use crate::seqs::SeqSet;

/// A sink's number. It is never used for another sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SinkId(pub(crate) u64);

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// How many changes there were.
    pub(crate) changes: u64,
    /// The number that the next alert or aggregate gets.
    pub(crate) next_seq: u64,
    /// The number that the next reading gets.
    pub(crate) next_reading: u64,
    /// The number that the next new sink gets.
    pub(crate) next_sink: u64,
    /// The producer's progress.
    pub(crate) mark: u64,
    /// The latest time that a caller passed.
    pub(crate) now_ms: i64,
}

impl Numbers {
    pub(crate) const fn new() -> Numbers {
        Numbers { changes: 0, next_seq: 1, next_reading: 1, next_sink: 1, mark: 0, now_ms: 0 }
    }

    /// The number that the next entry of a lane gets.
    pub(crate) fn next(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Alerts | Lane::Aggregates => self.next_seq,
            Lane::Readings => self.next_reading,
        }
    }

    pub(crate) fn next_mut(&mut self, lane: Lane) -> &mut u64 {
        match lane {
            Lane::Alerts | Lane::Aggregates => &mut self.next_seq,
            Lane::Readings => &mut self.next_reading,
        }
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let Numbers { changes, next_seq, next_reading, next_sink, mark, now_ms } = *self;
        [changes, next_seq, next_reading, next_sink, mark, now_ms.cast_unsigned()]
            .into_iter()
            .for_each(|number| put_u64(bytes, number));
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<Numbers> {
        Some(Numbers {
            changes: decoder.u64()?,
            next_seq: decoder.u64()?,
            next_reading: decoder.u64()?,
            next_sink: decoder.u64()?,
            mark: decoder.u64()?,
            now_ms: decoder.u64()?.cast_signed(),
        })
    }
}

/// How far a sink is in one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Numbers that this sink needs no more: it has them, they were dropped for it, or they are not in this lane.
    pub(crate) done: SeqSet,
    /// Entries from this number on are not for this sink. `None`: it takes all new ones.
    pub(crate) until: Option<u64>,
    /// The last number of the batch that the sink was or is being sent; 0 if it never fixed one.
    pub(crate) batch_end: u64,
}

impl Progress {
    pub(crate) fn takes_new(&self) -> bool {
        self.until.is_none()
    }

    /// Whether the sink still needs this number.
    pub(crate) fn needs(&self, seq: u64) -> bool {
        self.until.is_none_or(|until| seq < until) && !self.done.contains(seq)
    }

    /// Whether the sink needs none of a range.
    pub(crate) fn is_done(&self, first: u64, last: u64) -> bool {
        let last = self.until.map_or(last, |until| last.min(until.saturating_sub(1)));
        self.done.covers(first, last)
    }

    /// The first number from `from` on that the sink needs and that is below `next`.
    pub(crate) fn first_needed(&self, from: u64, next: u64) -> Option<u64> {
        let end = self.until.map_or(next, |until| next.min(until));
        Some(self.done.first_missing(from)).filter(|seq| *seq < end)
    }

    /// The numbers below `next` that the sink needs.
    pub(crate) fn needed(&self, next: u64) -> SeqSet {
        let end = self.until.map_or(next, |until| next.min(until));
        self.done.missing(1, end.saturating_sub(1))
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        self.done.encode(bytes);
        put_u64(bytes, self.until.map_or(0, |until| until.saturating_add(1)));
        put_u64(bytes, self.batch_end);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<Progress> {
        Some(Progress {
            done: SeqSet::decode(decoder)?,
            until: decoder.u64()?.checked_sub(1),
            batch_end: decoder.u64()?,
        })
    }
}

pub(crate) fn encode_lanes(lanes: &PerLane<Progress>, bytes: &mut Vec<u8>) {
    lanes.iter().for_each(|(_, progress)| progress.encode(bytes));
}

pub(crate) fn decode_lanes(decoder: &mut Decoder<'_>) -> Option<PerLane<Progress>> {
    Some(PerLane {
        alerts: Progress::decode(decoder)?,
        aggregates: Progress::decode(decoder)?,
        readings: Progress::decode(decoder)?,
    })
}

/// Everything about one sink. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SinkState {
    pub(crate) name: Arc<str>,
    pub(crate) lanes: PerLane<Progress>,
    pub(crate) counters: Counters,
    pub(crate) dropped: PerLane<DroppedRanges>,
}

/// Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) numbers: Numbers,
    pub(crate) sinks: BTreeMap<SinkId, SinkState>,
}

impl State {
    pub(crate) const fn new() -> State {
        State { numbers: Numbers::new(), sinks: BTreeMap::new() }
    }

    pub(crate) fn sink_named(&self, name: &str) -> Option<SinkId> {
        self.sinks.iter().find(|(_, sink)| &*sink.name == name).map(|(id, _)| *id)
    }

    /// Whether a sink needs this number.
    pub(crate) fn is_needed(&self, lane: Lane, seq: u64) -> bool {
        self.sinks.values().any(|sink| sink.lanes.get(lane).needs(seq))
    }

    /// Whether no sink needs a number of this range.
    pub(crate) fn is_done(&self, lane: Lane, first: u64, last: u64) -> bool {
        self.sinks.values().all(|sink| sink.lanes.get(lane).is_done(first, last))
    }

    /// Whether new entries of a lane are for any sink.
    pub(crate) fn takes(&self, lane: Lane) -> bool {
        self.sinks.values().any(|sink| sink.lanes.get(lane).takes_new())
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        self.numbers.encode(bytes);
        put_u64(bytes, self.sinks.len() as u64);
        for (id, sink) in &self.sinks {
            put_u64(bytes, id.0);
            put_text(bytes, &sink.name);
            encode_lanes(&sink.lanes, bytes);
            encode_totals(&sink.counters.totals, bytes);
            encode_accounts(sink.counters.accounts.iter(), bytes);
            sink.dropped.iter().for_each(|(_, ranges)| dropped::encode(ranges.all(), bytes));
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<State> {
        let numbers = Numbers::decode(decoder)?;
        let mut sinks = BTreeMap::new();
        for _ in 0..decoder.u64()? {
            let id = SinkId(decoder.u64()?);
            let name = decoder.text()?.into();
            let lanes = decode_lanes(decoder)?;
            let totals = decode_totals(decoder)?;
            let counters = Counters { totals, accounts: Arc::new(decode_accounts(decoder)?) };
            let dropped = PerLane {
                alerts: DroppedRanges::decode(Lane::Alerts, decoder)?,
                aggregates: DroppedRanges::decode(Lane::Aggregates, decoder)?,
                readings: DroppedRanges::decode(Lane::Readings, decoder)?,
            };
            sinks.insert(id, SinkState { name, lanes, counters, dropped });
        }
        Some(State { numbers, sinks })
    }
}
