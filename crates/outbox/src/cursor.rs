//! Reads single records of the log. Reading them in order is cheap: each segment is read once.

use std::iter::Peekable;

use journal::{Journal, JournalError, Position, Records};

/// A gap larger than this is not read through: the log is opened again at the record.
const MOST_SKIPPED: u64 = 2000;

/// A place in the log.
#[derive(Debug, Default)]
pub(crate) struct LogCursor {
    records: Option<Peekable<Records>>,
    /// The position after the last record that was read.
    next: Position,
}

impl LogCursor {
    /// The payload of the record at `position`; `None` if it is missing or damaged.
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
        // The bytes read before may be older than the record.
        self.records = Some(journal.read_from(position)?.peekable());
        self.next = position;
        self.advance(position)
    }

    fn advance(&mut self, position: Position) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(records) = &mut self.records else { return Ok(None) };
        while let Some(record) =
            records.next_if(|next| next.as_ref().map_or(true, |next| next.position <= position))
        {
            let record = record.inspect_err(|_| self.next = Position(u64::MAX))?;
            self.next = record.position.next();
            if record.position == position {
                return Ok(Some(record.payload));
            }
        }
        Ok(None)
    }
}
