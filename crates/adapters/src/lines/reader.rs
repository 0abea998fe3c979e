//! Turns one stream of lines into batches of uplinks. Refused lines are counted with their batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gateway_core::{AdapterId, CodecId, DeviceAddress, DropReason, Throttle, Timestamp, Uplink};
use tracing::warn;

use super::format::{Content, LineError, LineFormat};
use super::splitter::{Cut, Splitter};
use crate::LOG_PERIOD;

/// Lines passed to the pipeline at once.
const BATCH: usize = 256;

/// The settings for an adapter's lines.
#[derive(Debug, Clone)]
pub struct LineSource {
    pub adapter: AdapterId,
    pub format: LineFormat,
    /// Reads a line's payload.
    pub codec: CodecId,
    /// The longest line in bytes, without its end.
    pub max_line: usize,
}

/// The counters of an adapter's lines since the start, over all its streams.
#[derive(Debug)]
pub(crate) struct LineCounts {
    accepted: AtomicU64,
    refused: AtomicU64,
    log: Throttle,
}

impl Default for LineCounts {
    fn default() -> Self {
        Self { accepted: AtomicU64::new(0), refused: AtomicU64::new(0), log: Throttle::new(LOG_PERIOD) }
    }
}

impl LineCounts {
    /// The counters for `health`.
    pub(crate) fn figures(&self) -> [(&'static str, u64); 2] {
        [("lines", self.accepted.load(Ordering::Relaxed)), ("refused", self.refused.load(Ordering::Relaxed))]
    }
}

/// A stream of lines from one sender.
#[derive(Debug)]
pub(crate) struct LineReader {
    source: Arc<LineSource>,
    counts: Arc<LineCounts>,
    /// The device of lines that name no device.
    sender: Option<DeviceAddress>,
    splitter: Splitter,
    /// Complete lines, accepted, refused or empty.
    ended: u64,
    /// Accepted lines.
    accepted: u64,
    refused: Vec<(DropReason, u32)>,
}

impl LineReader {
    pub(crate) fn new(source: Arc<LineSource>, counts: Arc<LineCounts>, sender: &str) -> Self {
        let splitter = Splitter::new(source.max_line);
        let sender = DeviceAddress::new(sender);
        Self { source, counts, sender, splitter, ended: 0, accepted: 0, refused: Vec::new() }
    }

    /// Complete lines so far, accepted or refused.
    pub(crate) const fn ended(&self) -> u64 {
        self.ended
    }

    /// Accepted lines so far.
    pub(crate) const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Reads at most [`BATCH`] lines of `bytes`. Call it until `bytes` is empty.
    pub(crate) fn batch(&mut self, bytes: &mut &[u8], received_at: Timestamp) -> Vec<Uplink> {
        let mut batch = Vec::new();
        let source = Arc::clone(&self.source);
        for _ in 0..BATCH {
            let content = match self.splitter.next(bytes) {
                None => break,
                Some(Cut::TooLong) => Err(LineError::TooLong { max_line: source.max_line }),
                Some(Cut::Line(line)) => {
                    self.ended = self.ended.saturating_add(1);
                    let line = line.trim_ascii();
                    if line.is_empty() {
                        continue;
                    }
                    source.format.read(line)
                }
            };
            match content {
                Ok(content) => {
                    let uplink = uplink(&source, self.sender.as_ref(), content, received_at);
                    batch.push(uplink);
                }
                Err(error) => self.refuse(error),
            }
        }
        self.accepted = self.accepted.saturating_add(count(batch.len()));
        self.counts.accepted.fetch_add(count(batch.len()), Ordering::Relaxed);
        batch.extend(self.take_refused(received_at));
        batch
    }

    /// Ends the stream, and returns its last uplinks.
    pub(crate) fn end(&mut self, received_at: Timestamp) -> Vec<Uplink> {
        if self.splitter.end() {
            self.refuse(LineError::Unfinished);
        }
        self.take_refused(received_at).into_iter().collect()
    }

    fn refuse(&mut self, error: LineError) {
        let reason = error.reason();
        match self.refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.refused.push((reason, 1)),
        }
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(passed_over) = self.counts.log.allow(tokio::time::Instant::now().into_std()) {
            let sender = self.sender.as_ref().map_or("", DeviceAddress::as_str);
            warn!(adapter = %self.source.adapter, sender, passed_over, "line refused: {error}");
        }
    }

    fn take_refused(&mut self, received_at: Timestamp) -> Option<Uplink> {
        let refused = std::mem::take(&mut self.refused);
        let adapter = self.source.adapter.clone();
        (!refused.is_empty()).then(|| Uplink { refused, ..Uplink::new(adapter, received_at) })
    }
}

fn uplink(
    source: &LineSource,
    sender: Option<&DeviceAddress>,
    content: Content<'_>,
    received_at: Timestamp,
) -> Uplink {
    Uplink {
        device: content.device.or_else(|| sender.cloned()),
        codec: source.codec,
        payload: Bytes::from(content.payload.into_owned()),
        ..Uplink::new(source.adapter.clone(), received_at)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(format: LineFormat) -> LineReader {
        let adapter = AdapterId::new("tcp", "hall");
        let source = LineSource { adapter, format, codec: CodecId(3), max_line: 16 };
        LineReader::new(Arc::new(source), Arc::default(), "10.0.0.7")
    }

    fn batches(reader: &mut LineReader, mut bytes: &[u8]) -> Vec<Vec<Uplink>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(reader.batch(&mut bytes, Timestamp::from_millis(7)));
        }
        all
    }

    #[test]
    fn a_line_is_an_uplink_of_its_sender_and_empty_lines_are_none() {
        let mut reader = reader(LineFormat::Value);
        let batches = batches(&mut reader, b"21.5\r\n\n  \n 22\t\n");
        let [batch] = &*batches else { panic!("{batches:?}") };
        let payloads: Vec<_> = batch.iter().map(|uplink| &*uplink.payload).collect();
        assert_eq!(payloads, [b"21.5".as_slice(), b"22"]);
        assert!(batch.iter().all(|uplink| {
            uplink.device.as_ref().is_some_and(|device| device.as_str() == "10.0.0.7")
                && uplink.codec == CodecId(3)
                && uplink.received_at == Timestamp::from_millis(7)
        }));
        assert_eq!((reader.ended(), reader.accepted()), (4, 2));
    }

    #[test]
    fn refused_lines_are_counted_by_reason_and_the_next_line_is_read() {
        let mut reader = reader(LineFormat::Node);
        let batches = batches(&mut reader, b"xy\n\xff\n12345678901234567890\nlounge 535b84\n08");
        let [batch] = &*batches else { panic!("{batches:?}") };
        let [accepted, refused] = &**batch else { panic!("{batch:?}") };
        assert_eq!(accepted.device.as_ref().unwrap().as_str(), "lounge");
        assert_eq!(refused.refused, [(DropReason::BadPayload, 2), (DropReason::TooLarge, 1)]);
        let end = reader.end(Timestamp::EPOCH);
        assert_eq!(end[0].refused, [(DropReason::BadPayload, 1)], "the line that has no end");
        assert!(reader.end(Timestamp::EPOCH).is_empty(), "counted once");
        assert_eq!(reader.counts.figures(), [("lines", 1), ("refused", 4)]);
    }

    #[test]
    fn many_short_lines_make_several_batches() {
        let mut reader = reader(LineFormat::Value);
        let sizes: Vec<_> = batches(&mut reader, &b"7\n".repeat(600)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [256, 256, 88]);
    }
}
