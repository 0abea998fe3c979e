//! Reads single records of the log, cheaply where they are asked for in order: a segment is read once for all of them.

use std::iter::Peekable;

use journal::{Journal, JournalError, Position, Records};

/// How many records are skipped before the log is opened anew instead.
const MOST_SKIPPED: u64 = 2000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LogCursor {
    records: Option<Peekable<Records>>,
    /// Records before it were passed.
    next: Position,
}

impl LogCursor {
    /// The payload of the record at `position`; `None` where it is not there, or damaged.
    pub(crate) fn read(
        &mut self,
        journal: &Journal,
        position: Position,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        if (self.next..Position(self.next.0.saturating_add(MOST_SKIPPED))).contains(&position)
            && let Ok(Some(payload)) = self.advance(position)
        {
            return Ok(Some(payload));
        }
        // What was read before may be older than the record.
        self.records = Some(journal.read_from(position)?.peekable());
        self.next = position;
        self.advance(position)
    }

    fn advance(&mut self, position: Position) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(records) = &mut self.records else { return Ok(None) };
        while let Some(record) = records.next_if(|next| next.as_ref().map_or(true, |next| next.position <= position)) {
            let record = record.inspect_err(|_| self.next = Position(u64::MAX))?;
            self.next = record.position.next();
            if record.position == position {
                return Ok(Some(record.payload));
            }
        }
        Ok(None)
    }
}
