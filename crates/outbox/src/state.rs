//! What the file knows beside the entries: the numbers, the mark, the books. One row, with a checksum.

use std::sync::{Arc, LazyLock};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::accounts::{decode_accounts, encode_accounts};
use crate::books::Books;
use crate::schema::VERSION;
use crate::totals::{Count, Totals};

/// How far ahead numbers are set aside. Where damage takes the state, numbering goes on behind what was set aside, so
/// that no number ever means two things.
pub(crate) const AHEAD: u64 = 1_000_000;

/// Where what was set aside is not known either, numbering goes on at the next multiple of this. A gateway that sends a
/// thousand entries a second needs 34 years to get there, and a number stays exact in JSON for 8,000 such losses.
pub(crate) const ERA: u64 = 1 << 40;

/// The columns that hold a number, in the order of `State::numbers`.
const NUMBERS: [&str; 16] = [
    "next_seq",
    "mark",
    "now_ms",
    "accepted_entries",
    "accepted_weight",
    "published_entries",
    "published_weight",
    "queued_entries",
    "queued_weight",
    "full_entries",
    "full_weight",
    "refused_entries",
    "refused_weight",
    "damaged_entries",
    "damaged_weight",
    "queued_bytes",
];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) next_seq: u64,
    pub(crate) mark: u64,
    /// The newest time that a caller told.
    pub(crate) now_ms: i64,
    pub(crate) books: Books,
    /// Numbers below it are set aside; kept on a page of its own, apart from the other numbers.
    pub(crate) ahead: u64,
}

impl State {
    pub(crate) fn new() -> State {
        State { next_seq: 1, mark: 0, now_ms: 0, books: Books::default(), ahead: 0 }
    }

    /// Whether the numbers fit each other, where no checksum tells.
    pub(crate) fn is_plausible(&self) -> bool {
        let accepted = self.books.totals.accepted.entries;
        self.books.totals.balanced() && self.next_seq == accepted.saturating_add(1)
    }

    fn numbers(&self) -> [i64; 16] {
        let Totals {
            accepted,
            published,
            queued,
            dropped_full,
            dropped_refused,
            dropped_damaged,
            queued_bytes,
        } = &self.books.totals;
        let [a, p, q, f, r, d] =
            [accepted, published, queued, dropped_full, dropped_refused, dropped_damaged]
                .map(|count| [count.entries, count.weight].map(u64::cast_signed));
        let [next_seq, mark, bytes] = [self.next_seq, self.mark, *queued_bytes].map(u64::cast_signed);
        [
            next_seq,
            mark,
            self.now_ms,
            a[0],
            a[1],
            p[0],
            p[1],
            q[0],
            q[1],
            f[0],
            f[1],
            r[0],
            r[1],
            d[0],
            d[1],
            bytes,
        ]
    }

    fn from_numbers(numbers: [i64; 16], accounts: &[u8], ahead: u64) -> Option<State> {
        let [next_seq, mark, now_ms, pairs @ .., queued_bytes] = numbers;
        let mut counts = pairs.chunks_exact(2).map(|pair| match pair {
            [entries, weight] => Count { entries: entries.cast_unsigned(), weight: weight.cast_unsigned() },
            _ => Count::default(),
        });
        let mut count = || counts.next().unwrap_or_default();
        let totals = Totals {
            accepted: count(),
            published: count(),
            queued: count(),
            dropped_full: count(),
            dropped_refused: count(),
            dropped_damaged: count(),
            queued_bytes: queued_bytes.cast_unsigned(),
        };
        let books = Books { totals, accounts: Arc::new(decode_accounts(accounts)?) };
        Some(State { next_seq: next_seq.cast_unsigned(), mark: mark.cast_unsigned(), now_ms, books, ahead })
    }

    /// `Ok(None)`: there is none, or it is not what was once written.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Option<State>> {
        let query = format!("SELECT crc, accounts, {} FROM state WHERE id = 1", NUMBERS.join(", "));
        let read = connection.prepare_cached(&query)?.query_row([], |row| {
            let mut numbers = [0; 16];
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = row.get(at + 2)?;
            }
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, numbers))
        });
        let Some((crc, accounts, numbers)) = read.optional()? else { return Ok(None) };
        if crc != i64::from(checksum(&numbers, &accounts)) {
            return Ok(None);
        }
        let ahead = load_ahead(connection)?.unwrap_or_default();
        Ok(State::from_numbers(numbers, &accounts, ahead))
    }

    pub(crate) fn store(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (numbers, accounts) = (self.numbers(), encode_accounts(&self.books.accounts));
        let crc = i64::from(checksum(&numbers, &accounts));
        connection.prepare_cached(&STORE)?.execute(params_from_iter(
            [Value::from(crc), accounts.into()].into_iter().chain(numbers.map(Value::from)),
        ))?;
        self.set_ahead(connection)
    }

    /// Sets numbers aside, rarely.
    fn set_ahead(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.next_seq.saturating_add(AHEAD / 2) > self.ahead {
            self.ahead = self.next_seq.saturating_add(AHEAD);
            let upto = self.ahead.cast_signed();
            connection
                .prepare_cached("INSERT OR REPLACE INTO ahead (id, upto, crc) VALUES (1, ?1, ?2)")?
                .execute([upto, i64::from(checksum(&[upto], b"ahead"))])?;
        }
        Ok(())
    }
}

/// Every number below it may have been given; `None` where that is damaged.
pub(crate) fn load_ahead(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let read: Option<(i64, i64)> = connection
        .prepare_cached("SELECT upto, crc FROM ahead WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(read
        .filter(|(upto, crc)| *crc == i64::from(checksum(&[*upto], b"ahead")))
        .map(|(upto, _)| upto.cast_unsigned()))
}

static STORE: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (1..=NUMBERS.len() + 2).map(|at| format!("?{at}")).collect();
    let (columns, places) = (NUMBERS.join(", "), places.join(", "));
    format!("INSERT OR REPLACE INTO state (id, crc, accounts, {columns}) VALUES (1, {places})")
});

/// CRC-32 over the schema's version, the numbers and the accounts.
fn checksum(numbers: &[i64], accounts: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for number in [VERSION].iter().chain(numbers) {
        crc.update(&number.to_le_bytes());
    }
    crc.update(accounts);
    crc.finalize()
}
