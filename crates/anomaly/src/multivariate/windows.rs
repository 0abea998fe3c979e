//! The history that a model is fitted on: windows of one device, as many as are needed, evenly over its whole length.
//!
//! The memory is bounded: if there are too many windows, every second one is dropped, and from then
//! on only every second is kept.

use gateway_core::Timestamp;

use super::tail::number;

/// Most windows that a model is fitted on.
pub const MAX_WINDOWS: usize = 5_000;
/// Most metrics that are looked at; as many as a device may have.
const MAX_NAMES: usize = 256;
const YEAR_MILLIS: f64 = 365.25 * 86_400_000.0;

/// The windows of one device.
#[derive(Debug, Default)]
pub struct Windows {
    names: Vec<Box<str>>,
    rows: Vec<Row>,
    seen: u64,
    /// Of how many windows one is kept: 2 to this power.
    thinned: u32,
    range: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug)]
struct Row {
    start: Timestamp,
    /// By index of the name; NaN and missing ones are not there.
    averages: Vec<f64>,
}

/// Windows in order of time, each start once, with a column for each name.
pub(super) struct Table {
    pub(super) names: Vec<Box<str>>,
    pub(super) rows: Vec<Vec<f64>>,
}

impl Windows {
    /// Adds a window with the average of each metric that it has. The same start again replaces the one before.
    pub fn push<'a>(
        &mut self,
        start: Timestamp,
        end: Timestamp,
        averages: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let (from, to) = self.range.unwrap_or((start, end));
        self.range = Some((from.min(start), to.max(end)));
        let kept = self.seen.is_multiple_of(1 << self.thinned.min(63));
        self.seen += 1;
        if !kept {
            return;
        }
        let mut row = Row { start, averages: Vec::with_capacity(self.names.len()) };
        for (name, average) in averages {
            let Some(index) = self.index(name) else { continue };
            if row.averages.len() <= index {
                row.averages.resize(index + 1, f64::NAN);
            }
            if let Some(slot) = row.averages.get_mut(index) {
                *slot = average;
            }
        }
        self.rows.push(row);
        if self.rows.len() >= 2 * MAX_WINDOWS {
            let mut even = false;
            self.rows.retain(|_| {
                even = !even;
                even
            });
            self.thinned += 1;
        }
    }

    /// How many windows were pushed.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Start of the first window and end of the last.
    #[must_use]
    pub fn range(&self) -> Option<(Timestamp, Timestamp)> {
        self.range
    }

    /// How many windows come in a year, as often as they came so far.
    pub(super) fn per_year(&self) -> f64 {
        let Some((from, to)) = self.range else { return 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let (seen, millis) = (self.seen as f64, to.millis_after(from).max(1) as f64);
        (seen / millis * YEAR_MILLIS).max(1.0)
    }

    /// At most [`MAX_WINDOWS`] of them.
    pub(super) fn table(mut self) -> Table {
        // Stable: of those with the same start the newest is the last.
        self.rows.sort_by_key(|row| row.start);
        let mut rows: Vec<Row> = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            match rows.last_mut() {
                Some(last) if last.start == row.start => *last = row,
                _ => rows.push(row),
            }
        }
        let width = self.names.len();
        let total = rows.len();
        let rows =
            rows.into_iter().enumerate().filter(|(index, _)| is_picked(*index, total)).map(|(_, row)| {
                let mut averages = row.averages;
                averages.resize(width, f64::NAN);
                averages
            });
        Table { rows: rows.collect(), names: self.names }
    }

    fn index(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.names.iter().position(|known| &**known == name) {
            return Some(index);
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        self.names.push(name.into());
        Some(self.names.len() - 1)
    }
}

/// Whether this one is among [`MAX_WINDOWS`] that lie evenly among `total`.
fn is_picked(index: usize, total: usize) -> bool {
    if total <= MAX_WINDOWS {
        return true;
    }
    let share = number(MAX_WINDOWS) / number(total);
    (number(index + 1) * share).floor() > (number(index) * share).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn a_long_history_is_thinned_evenly() {
        let mut windows = Windows::default();
        for second in 0..123_456 {
            windows.push(at(second), at(second + 1), [("a", f64::from(i32::try_from(second).unwrap()))]);
        }
        assert_eq!(windows.seen(), 123_456);
        assert_eq!(windows.range(), Some((at(0), at(123_456))));
        let table = windows.table();
        assert!((4_990..=MAX_WINDOWS).contains(&table.rows.len()), "{}", table.rows.len());
        let gaps: Vec<f64> = table.rows.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
        assert!(gaps.iter().all(|gap| (16.0..=48.0).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn windows_are_put_in_order_and_a_later_version_replaces_an_earlier_one() {
        let mut windows = Windows::default();
        windows.push(at(20), at(30), [("a", 3.0)]);
        windows.push(at(0), at(10), [("a", 1.0), ("b", 5.0)]);
        windows.push(at(20), at(30), [("a", 4.0)]);
        let table = windows.table();
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0], [1.0, 5.0]);
        assert_eq!(table.rows[1][0], 4.0);
        assert!(table.rows[1][1].is_nan());
    }
}
