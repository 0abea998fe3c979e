//! A change: the record of the aggregates' log that makes the frames before it part of the outbox.
//!
//! It has the whole progress and the totals of each sink that it touches. Its accounts and dropped ranges are those of this
//! change and of the one before, so that one damaged change costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::Position;

use crate::accounts::{Accounts, decode_accounts, encode_accounts};
use crate::counters::{decode_totals, encode_totals};
use crate::dropped;
use crate::encoding::{Decoder, put_u64};
use crate::lane::{Lane, PerLane};
use crate::state::{Numbers, Progress, SinkId, State, decode_lanes, encode_lanes};
use crate::totals::{DroppedRange, Totals};

/// The first byte of a change; that of a frame differs.
const CHANGE: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) numbers: Numbers,
    /// The position of the first frame that belongs to it, or its own: everything from there to the change was written
    /// with it.
    pub(crate) frames_from: Position,
    /// The newest positions in the logs of the other lanes that belong to it.
    pub(crate) alerts_end: Position,
    pub(crate) readings_end: Position,
    pub(crate) sinks: BTreeMap<SinkId, SinkChange>,
}

/// What a change says about one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SinkChange {
    pub(crate) lanes: PerLane<Progress>,
    pub(crate) totals: Totals,
    /// Those that differ from the state before the previous change.
    pub(crate) accounts: Accounts,
    pub(crate) dropped: Vec<DroppedRange>,
    /// Those of the previous change.
    pub(crate) dropped_before: Vec<DroppedRange>,
}

/// What the next change repeats of the last one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeated(pub(crate) BTreeMap<SinkId, RepeatedSink>);

#[derive(Debug, Clone, Default)]
pub(crate) struct RepeatedSink {
    /// The accounts before the last change.
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) dropped: Vec<DroppedRange>,
}

impl Change {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![CHANGE];
        self.numbers.encode(&mut bytes);
        for position in [self.frames_from, self.alerts_end, self.readings_end] {
            put_u64(&mut bytes, position.0);
        }
        put_u64(&mut bytes, self.sinks.len() as u64);
        for (id, sink) in &self.sinks {
            put_u64(&mut bytes, id.0);
            encode_lanes(&sink.lanes, &mut bytes);
            encode_totals(&sink.totals, &mut bytes);
            encode_accounts(sink.accounts.iter(), &mut bytes);
            encode_dropped(&sink.dropped, &mut bytes);
            encode_dropped(&sink.dropped_before, &mut bytes);
        }
        bytes
    }

    /// `None` if the bytes are something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Change> {
        let mut decoder = Decoder::new(bytes);
        if decoder.byte()? != CHANGE {
            return None;
        }
        let numbers = Numbers::decode(&mut decoder)?;
        let frames_from = Position(decoder.u64()?);
        let alerts_end = Position(decoder.u64()?);
        let readings_end = Position(decoder.u64()?);
        let mut sinks = BTreeMap::new();
        for _ in 0..decoder.u64()? {
            let id = SinkId(decoder.u64()?);
            let sink = SinkChange {
                lanes: decode_lanes(&mut decoder)?,
                totals: decode_totals(&mut decoder)?,
                accounts: decode_accounts(&mut decoder)?,
                dropped: decode_dropped(&mut decoder)?,
                dropped_before: decode_dropped(&mut decoder)?,
            };
            sinks.insert(id, sink);
        }
        decoder.is_empty().then_some(Change { numbers, frames_from, alerts_end, readings_end, sinks })
    }

    /// Leads from the state before it to the state after it. `one_was_lost`: the change before it could not be read.
    pub(crate) fn apply_to(&self, state: &mut State, one_was_lost: bool) {
        state.numbers = self.numbers;
        for (id, change) in &self.sinks {
            let Some(sink) = state.sinks.get_mut(id) else { continue };
            sink.lanes = change.lanes.clone();
            sink.counters.totals = change.totals.clone();
            let accounts = Arc::make_mut(&mut sink.counters.accounts);
            accounts.extend(change.accounts.iter().map(|(name, account)| (Arc::clone(name), *account)));
            let before = change.dropped_before.iter().filter(|_| one_was_lost);
            for range in before.chain(&change.dropped) {
                sink.dropped.get_mut(range.lane).insert(*range);
            }
        }
    }
}

fn encode_dropped(ranges: &[DroppedRange], bytes: &mut Vec<u8>) {
    for lane in Lane::ALL {
        let of_lane: Vec<DroppedRange> = ranges.iter().filter(|range| range.lane == lane).copied().collect();
        dropped::encode(&of_lane, bytes);
    }
}

fn decode_dropped(decoder: &mut Decoder<'_>) -> Option<Vec<DroppedRange>> {
    let mut ranges = Vec::new();
    for lane in Lane::ALL {
        ranges.extend(dropped::decode(lane, decoder)?);
    }
    Some(ranges)
}
