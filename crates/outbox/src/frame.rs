//! A frame: one record of a lane's log, with entries in the order of their numbers.
//!
//! Several entries share a frame, so that the journal's checksum and position cost little for each. Integers are LEB128.
//! ```text
//! 1 | time of storing u64 | last number in the log before this frame | accounts: count, names |
//! entries: count, for each: number - number before | shares: count, (account's index, weight) … | payload length, payload
//! ```

use std::sync::Arc;

use crate::encoding::{Decoder, put_bytes, put_text, put_u64};
use crate::entry::{Numbered, Share};
use crate::lane::Lane;

/// The first byte of a frame; that of a change differs.
pub(crate) const ENTRIES: u8 = 1;
/// A frame is complete at so many bytes of payload: with one damaged page all of it is lost.
const FRAME_BYTES: usize = 4096;
/// Entries of a frame, at most.
const FRAME_ENTRIES: usize = 256;

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// When its newest entry was appended, in Unix milliseconds of the caller's clock.
    pub(crate) at_ms: i64,
    /// The number of the last entry in the log before; 0 for none.
    pub(crate) previous: u64,
    /// Never empty.
    pub(crate) entries: Vec<Numbered>,
}

impl Frame {
    /// The number of its last entry.
    pub(crate) fn last(&self) -> u64 {
        self.entries.last().map_or(self.previous, |entry| entry.seq)
    }

    /// `None` if the bytes are something else.
    pub(crate) fn decode(lane: Lane, bytes: &[u8]) -> Option<Frame> {
        let mut decoder = Decoder::new(bytes);
        if decoder.byte()? != ENTRIES {
            return None;
        }
        let at_ms = decoder.u64()?.cast_signed();
        let previous = decoder.u64()?;
        let mut accounts: Vec<Arc<str>> = Vec::new();
        for _ in 0..decoder.u64()? {
            accounts.push(decoder.text()?.into());
        }
        let (mut entries, mut before) = (Vec::new(), previous);
        for _ in 0..decoder.u64()? {
            let seq = before.checked_add(decoder.u64()?).filter(|seq| *seq > before)?;
            let mut shares = Vec::new();
            for _ in 0..decoder.u64()? {
                let index = usize::try_from(decoder.u64()?).ok()?;
                let account = Arc::clone(accounts.get(index)?);
                shares.push(Share { account, weight: u32::try_from(decoder.u64()?).ok()? });
            }
            let payload = decoder.bytes()?.into();
            entries.push(Numbered { lane, seq, previous: before, at_ms, shares, payload });
            before = seq;
        }
        (!entries.is_empty() && decoder.is_empty()).then_some(Frame { at_ms, previous, entries })
    }
}

/// Collects entries until a frame is complete.
#[derive(Debug, Default)]
pub(crate) struct FrameBuilder {
    accounts: Vec<Arc<str>>,
    /// The encoded entries.
    bytes: Vec<u8>,
    count: usize,
    last: u64,
}

impl FrameBuilder {
    /// `previous`: the number of the last entry in the log before.
    pub(crate) fn after(previous: u64) -> FrameBuilder {
        FrameBuilder { last: previous, ..FrameBuilder::default() }
    }

    pub(crate) fn push(&mut self, entry: &Numbered) {
        put_u64(&mut self.bytes, entry.seq.saturating_sub(self.last));
        put_u64(&mut self.bytes, entry.shares.len() as u64);
        for share in &entry.shares {
            let known = self.accounts.iter().position(|account| *account == share.account);
            let index = known.unwrap_or_else(|| {
                self.accounts.push(Arc::clone(&share.account));
                self.accounts.len() - 1
            });
            put_u64(&mut self.bytes, index as u64);
            put_u64(&mut self.bytes, u64::from(share.weight));
        }
        put_bytes(&mut self.bytes, &entry.payload);
        self.last = entry.seq;
        self.count += 1;
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.bytes.len() >= FRAME_BYTES || self.count >= FRAME_ENTRIES
    }

    /// The frame's bytes. `previous` is what [`FrameBuilder::after`] was given.
    pub(crate) fn encode(&self, at_ms: i64, previous: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 64);
        bytes.push(ENTRIES);
        put_u64(&mut bytes, at_ms.cast_unsigned());
        put_u64(&mut bytes, previous);
        put_u64(&mut bytes, self.accounts.len() as u64);
        self.accounts.iter().for_each(|account| put_text(&mut bytes, account));
        put_u64(&mut bytes, self.count as u64);
        bytes.extend_from_slice(&self.bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, previous: u64, account: &str) -> Numbered {
        let share = |name: &str, weight| Share { account: name.into(), weight };
        let shares = vec![share(account, 3), share("both", u32::MAX)];
        Numbered { lane: Lane::Alerts, seq, previous, at_ms: -4, shares, payload: vec![7; 40].into() }
    }

    fn encoded() -> (Vec<Numbered>, Vec<u8>) {
        let entries =
            vec![entry(5, 2, "mqtt.floor"), entry(6, 5, "lorawan.roof"), entry(900, 6, "mqtt.floor")];
        let mut builder = FrameBuilder::after(2);
        entries.iter().for_each(|entry| builder.push(entry));
        (entries, builder.encode(-4, 2))
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let (entries, bytes) = encoded();
        let frame = Frame::decode(Lane::Alerts, &bytes).unwrap();
        assert_eq!(frame, Frame { at_ms: -4, previous: 2, entries });
        assert_eq!(frame.last(), 900);
        assert!(bytes.len() < 3 * (40 + 12) + 50, "names stand there once: {} bytes", bytes.len());
    }

    #[test]
    fn bytes_cut_short_or_changed_are_refused_or_another_frame_but_never_a_panic() {
        let (_, bytes) = encoded();
        for length in 0..bytes.len() {
            assert_eq!(Frame::decode(Lane::Alerts, &bytes[..length]), None);
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Some(frame) = Frame::decode(Lane::Alerts, &changed) {
                    assert!(frame.last() > frame.previous);
                }
            }
        }
    }
}
