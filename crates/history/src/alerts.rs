//! Alerts: one row each, with how it was raised and how it was cleared, each stored once.

use std::fmt;
use std::str::FromStr;

use gateway_core::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::batch::AlertRow;
use crate::blob::{self, Key};
use crate::error::{HistoryError, during};
use crate::marks::{self, Part};
use crate::names::{self, NameTable, Names};
use crate::store::Store;

/// Alerts of one answer, at most.
const MAX_ALERTS: usize = 10_000;
/// In the checksum of a payload instead of a length and revision: one that changed its column is not believed.
const RAISED: u32 = 0;
const CLEARED: u32 = 1;

/// Which alerts, newest first.
#[derive(Debug, Clone, Copy)]
pub struct AlertQuery<'a> {
    /// Only this device's.
    pub device: Option<&'a str>,
    /// Those that were raised before `to` and were not over before `from`.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Only those after this one in the order of the answer: the last of the page before.
    pub before: Option<AlertCursor>,
    /// How many at most.
    pub limit: usize,
}

/// The place of an alert in the order of answers. As text: `<milliseconds>-<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertCursor {
    since: i64,
    number: i64,
}

/// An alert, with what was stored of its beginning and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlert {
    pub cursor: AlertCursor,
    pub device: Box<str>,
    pub rule: Box<str>,
    pub metric: Option<Box<str>>,
    /// When it was raised.
    pub since: Timestamp,
    /// When it was over; none where that did not come (yet).
    pub cleared_at: Option<Timestamp>,
    /// What was sent when it was raised, as JSON; none where it did not come, or damage made it unreadable.
    pub raised: Option<Box<str>>,
    /// The same of when it was over.
    pub cleared: Option<Box<str>>,
}

impl fmt::Display for AlertCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.since, self.number)
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no cursor; give back the one of the last alert")]
pub struct NotACursor;

impl FromStr for AlertCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (since, number) = text.rsplit_once('-').ok_or(NotACursor)?;
        let parse = |text: &str| text.parse().map_err(|_| NotACursor);
        Ok(Self { since: parse(since)?, number: parse(number)? })
    }
}

/// Stores the beginning or the end of an alert, if it is not there yet.
pub(crate) fn put(file: &Transaction<'_>, names: &mut Names, alert: &AlertRow) -> rusqlite::Result<()> {
    let AlertRow { device, rule, metric, since, at, is_cleared, payload } = alert;
    let since = since.as_millis();
    if since < marks::get(file, Part::Alerts)? {
        return Ok(());
    }
    let device = names.number(file, NameTable::Device, device)?;
    let payload = blob::seal(key(device, since, *is_cleared), payload.as_bytes().to_vec());
    let metric = metric.as_deref().unwrap_or_default();
    let query = if *is_cleared {
        "INSERT INTO alerts (since, device, rule, metric, cleared_at, cleared) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET cleared_at = excluded.cleared_at, cleared = excluded.cleared
         WHERE alerts.cleared IS NULL"
    } else {
        "INSERT INTO alerts (since, device, rule, metric, raised_at, raised) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET raised_at = excluded.raised_at, raised = excluded.raised
         WHERE alerts.raised IS NULL"
    };
    file.prepare_cached(query)?.execute(params![since, device, &**rule, metric, at.as_millis(), payload])?;
    Ok(())
}

const fn key(device: i64, since: i64, is_cleared: bool) -> Key {
    Key { device, start: since, length: 0, revision: if is_cleared { CLEARED } else { RAISED } }
}

impl Store {
    /// Alerts, newest first. An alert is one entry: how it was raised, and how it was cleared where that came.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn alerts(&self, query: &AlertQuery<'_>) -> Result<Vec<StoredAlert>, HistoryError> {
        if !self.has_tiers || query.limit == 0 {
            return Ok(Vec::new());
        }
        self.find_alerts(query).map_err(during("read", &self.path))
    }

    fn find_alerts(&self, query: &AlertQuery<'_>) -> rusqlite::Result<Vec<StoredAlert>> {
        let device = match query.device {
            None => None,
            Some(name) => match names::find(&self.file, NameTable::Device, name)? {
                Some(device) => Some(device),
                None => return Ok(Vec::new()),
            },
        };
        let columns =
            "a.number, a.since, a.device, d.name, a.rule, a.metric, a.cleared_at, a.raised, a.cleared";
        // Both are in the order of an index, so that the first page costs no more than itself.
        let of_device = if device.is_some() { "a.device = ?5 AND" } else { "" };
        let text = format!(
            "SELECT {columns} FROM alerts a CROSS JOIN device d ON d.id = a.device
             WHERE {of_device} a.since < ?1 AND (a.since >= ?2 OR a.cleared_at IS NULL OR a.cleared_at >= ?2)
             AND (a.since, a.number) < (?3, ?4) ORDER BY a.since DESC, a.number DESC LIMIT ?6"
        );
        let before = query.before.unwrap_or(AlertCursor { since: i64::MAX, number: i64::MAX });
        let limit = i64::try_from(query.limit.min(MAX_ALERTS)).unwrap_or(i64::MAX);
        let mut statement = self.file.prepare_cached(&text)?;
        let device = device.map_or(Value::Null, Value::Integer);
        let arguments =
            params![query.to.as_millis(), query.from.as_millis(), before.since, before.number, device, limit];
        statement.query_map(arguments, stored_alert)?.collect()
    }
}

fn stored_alert(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredAlert> {
    let (number, since, device) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let payload = |column, is_cleared| -> rusqlite::Result<Option<Box<str>>> {
        let blob = row.get_ref(column)?.as_blob_or_null()?;
        let bytes = blob.and_then(|blob| blob::unseal(key(device, since, is_cleared), blob));
        Ok(bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(Box::from))
    };
    let metric: Box<str> = row.get(5)?;
    Ok(StoredAlert {
        cursor: AlertCursor { since, number },
        device: row.get(3)?,
        rule: row.get(4)?,
        metric: Some(metric).filter(|metric| !metric.is_empty()),
        since: Timestamp::from_millis(since),
        cleared_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        raised: payload(7, false)?,
        cleared: payload(8, true)?,
    })
}

/// The first and the last `since`.
pub(crate) fn span(file: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    file.prepare_cached("SELECT (SELECT min(since) FROM alerts), (SELECT max(since) FROM alerts)")?
        .query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)))
        .optional()
        .map(Option::flatten)
}
