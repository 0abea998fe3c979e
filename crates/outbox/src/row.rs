//! A row of the queue: its key, its checksum, its way into the file and out of it.
//!
//! The key is the number for a normal entry; for an urgent one it is the number above the smallest integer, so that urgent
//! entries come first and the table needs no index: one page less to write for each commit.

use rusqlite::{Connection, Row, params};

use crate::accounts::{decode_shares, encode_shares, shares_bytes, weight};
use crate::entry::{ENTRY_OVERHEAD, Priority, Share, Stored};

/// Every column; what `QueueRow::read` needs.
pub(crate) const COLUMNS: &str = "key, crc, shares, topic, body";

/// An entry with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueRow {
    pub(crate) seq: u64,
    pub(crate) priority: Priority,
    pub(crate) shares: Vec<Share>,
    pub(crate) topic: String,
    pub(crate) body: Vec<u8>,
}

/// What a number and a priority are in the file; a number that cannot exist becomes the largest that could.
pub(crate) fn key(priority: Priority, seq: u64) -> i64 {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    match priority {
        Priority::Urgent => seq.wrapping_add(i64::MIN),
        Priority::Normal => seq,
    }
}

/// The other way round.
pub(crate) fn parts(key: i64) -> (Priority, u64) {
    match u64::try_from(key) {
        Ok(seq) => (Priority::Normal, seq),
        Err(_) => (Priority::Urgent, key.wrapping_sub(i64::MIN).cast_unsigned()),
    }
}

/// The first and the last key of a priority that come after the number `after`.
pub(crate) fn keys(priority: Priority, after: u64) -> [i64; 2] {
    let last = key(priority, u64::MAX);
    [key(priority, after).saturating_add(1), last]
}

impl QueueRow {
    pub(crate) fn key(&self) -> i64 {
        key(self.priority, self.seq)
    }

    /// What it counts for against the limit, in bytes.
    pub(crate) fn size(&self) -> u64 {
        ENTRY_OVERHEAD + (shares_bytes(&self.shares) + self.topic.len() + self.body.len()) as u64
    }

    pub(crate) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.insert_by(
            "INSERT INTO queue (key, crc, shares, topic, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            connection,
        )
    }

    /// Leaves what is there already.
    pub(crate) fn insert_where_new(&self, connection: &Connection) -> rusqlite::Result<()> {
        let query = "INSERT OR IGNORE INTO queue (key, crc, shares, topic, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.insert_by(query, connection)
    }

    fn insert_by(&self, query: &str, connection: &Connection) -> rusqlite::Result<()> {
        let shares = encode_shares(&self.shares);
        let crc = checksum(self.key(), &shares, self.topic.as_bytes(), &self.body);
        let values = params![self.key(), crc, shares, self.topic, self.body];
        connection.prepare_cached(query)?.execute(values).map(drop)
    }

    /// `Ok(None)`: it is not what was once written.
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Option<QueueRow>> {
        let key: i64 = row.get(0)?;
        let (shares, topic, body) = (row.get_ref(2)?, row.get_ref(3)?, row.get_ref(4)?);
        let (Ok(shares), Ok(topic), Ok(body)) = (shares.as_bytes(), topic.as_bytes(), body.as_bytes()) else {
            return Ok(None);
        };
        if row.get_ref(1)?.as_i64() != Ok(i64::from(checksum(key, shares, topic, body))) {
            return Ok(None);
        }
        let (Some(shares), Ok(topic)) = (decode_shares(shares), String::from_utf8(topic.to_vec())) else {
            return Ok(None);
        };
        let (priority, seq) = parts(key);
        Ok(Some(QueueRow { seq, priority, shares, topic, body: body.to_vec() }))
    }

    pub(crate) fn into_stored(self) -> Stored {
        let weight = weight(&self.shares);
        Stored { seq: self.seq, priority: self.priority, topic: self.topic, bytes: self.body, weight }
    }
}

/// CRC-32 over all that is in a row, each part behind its length.
fn checksum(key: i64, shares: &[u8], topic: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&key.to_le_bytes());
    for part in [shares, topic, body] {
        crc.update(&(part.len() as u64).to_le_bytes());
        crc.update(part);
    }
    crc.finalize()
}
