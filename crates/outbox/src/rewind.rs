//! Sends entries again, and forgets sinks: for people, on an outbox that nobody else uses.

use journal::Position;

use crate::accounts::weight;
use crate::entry::Numbered;
use crate::error::{OutboxError, log};
use crate::frame::Frame;
use crate::lane::Lane;
use crate::state::SinkId;
use crate::store::Outbox;
use crate::totals::Count;

impl Outbox {
    /// Queues again what a sink has acknowledged, as far as the logs still have it and it was stored at `from_ms` (Unix
    /// milliseconds) or later. What was dropped for the sink stays dropped. Entries of one frame, up to 256, have one time: that
    /// of the newest. Returns how much is queued again, or `None` if there is no such sink.
    ///
    /// It counts as published once only. Batches that were fixed for the sink are divided anew. To be called before anything
    /// is fetched.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn rewind(&mut self, sink: &str, from_ms: i64) -> Result<Option<Count>, OutboxError> {
        self.commit()?;
        let Some(id) = self.state.sink_named(sink) else { return Ok(None) };
        let mut queued = Count::default();
        for lane in Lane::ALL {
            // The newest first: the oldest may be from before the sink was there.
            for entry in self.acknowledged(id, lane, from_ms)?.iter().rev() {
                let Some(sink) = self.state.sinks.get_mut(&id) else { continue };
                if sink.counters.unpublish(&entry.shares) {
                    let progress = sink.lanes.get_mut(lane);
                    progress.done.remove_range(entry.seq, entry.seq);
                    progress.batch_end = 0;
                    sink.counters.enqueue(&entry.shares, entry.size());
                    queued.add(weight(&entry.shares));
                }
            }
        }
        self.write_changed_state()?;
        Ok(Some(queued))
    }

    /// Removes a sink that takes no new entries, with its counters and everything that is queued for it. Returns what was
    /// queued, or `None` if there is no such sink, or it takes new entries.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn forget(&mut self, sink: &str) -> Result<Option<Count>, OutboxError> {
        self.commit()?;
        let is_ended = |id: &SinkId| {
            self.state.sinks.get(id).is_some_and(|it| it.lanes.iter().all(|(_, lane)| !lane.takes_new()))
        };
        let Some(id) = self.state.sink_named(sink).filter(is_ended) else { return Ok(None) };
        let forgotten = self.state.sinks.remove(&id);
        self.write_changed_state()?;
        Ok(forgotten.map(|sink| sink.counters.totals.queued))
    }

    /// Entries of the log that a sink takes, does not need, and has not dropped as far as that is known.
    fn acknowledged(&self, id: SinkId, lane: Lane, from_ms: i64) -> Result<Vec<Numbered>, OutboxError> {
        let Some(sink) = self.state.sinks.get(&id) else { return Ok(Vec::new()) };
        let progress = sink.lanes.get(lane);
        let dropped = sink.dropped.get(lane).seqs();
        let is_acknowledged = |seq| {
            progress.until.is_none_or(|until| seq < until) && !progress.needs(seq) && !dropped.contains(seq)
        };
        let mut found = Vec::new();
        for record in self.logs.get(lane).read_from(Position(0))? {
            let payload = record.map_err(log(&self.dir))?.payload;
            let frame = Frame::decode(lane, &payload).filter(|frame| frame.at_ms >= from_ms);
            let entries = frame.into_iter().flat_map(|frame| frame.entries);
            found.extend(entries.filter(|entry| is_acknowledged(entry.seq)));
        }
        Ok(found)
    }

    fn write_changed_state(&mut self) -> Result<(), OutboxError> {
        self.committed = self.state.clone();
        self.readers.clear();
        // A change means nothing for a sink that the snapshot before it does not know.
        self.write_snapshot()?;
        self.write_recovered_state()
    }
}
