//! What the pipeline offers at once: windows, alerts and readings, each with its names.

use gateway_core::Timestamp;

use crate::row::{Row, Summary};

/// Rows to store, with the names of their devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Windows, each with its device's name.
    pub windows: Vec<(Box<str>, Row)>,
    pub alerts: Vec<AlertRow>,
    pub readings: Vec<ReadingRow>,
}

/// An alert that was raised or cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    pub device: Box<str>,
    /// The rule's name.
    pub rule: Box<str>,
    /// None where it is about the device as a whole.
    pub metric: Option<Box<str>>,
    /// When it was raised; the same in both of its rows.
    pub since: Timestamp,
    /// When this happened.
    pub at: Timestamp,
    /// True where it is over.
    pub is_cleared: bool,
    /// The whole of it, as JSON.
    pub payload: Box<str>,
}

/// What one message said of a device at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingRow {
    pub device: Box<str>,
    pub at: Timestamp,
    /// Tells messages of the same time apart.
    pub number: u32,
    /// A value for each metric's name.
    pub values: Vec<(Box<str>, f64)>,
}

impl From<Vec<(Box<str>, Row)>> for Batch {
    fn from(windows: Vec<(Box<str>, Row)>) -> Self {
        Self { windows, ..Self::default() }
    }
}

impl Batch {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len() + self.alerts.len() + self.readings.len()
    }

    /// Moves all rows of `other` behind those of this one.
    pub fn append(&mut self, other: &mut Self) {
        self.windows.append(&mut other.windows);
        self.alerts.append(&mut other.alerts);
        self.readings.append(&mut other.readings);
    }

    /// Takes up to `count` rows out.
    #[must_use]
    pub fn take(&mut self, count: usize) -> Self {
        let windows = front(&mut self.windows, count);
        let alerts = front(&mut self.alerts, count - windows.len());
        let readings = front(&mut self.readings, count - windows.len() - alerts.len());
        Self { windows, alerts, readings }
    }

    /// Leaves the newest readings: so many, or up to twice as many. For a start after a crash, which makes all readings since
    /// the checkpoint again, of which only the last can be missing.
    pub fn leave_newest_readings(&mut self, count: usize) {
        if self.readings.len() > count.saturating_mul(2) {
            self.readings.drain(..self.readings.len() - count);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.windows.clear();
        self.alerts.clear();
        self.readings.clear();
    }

    /// About what the rows take in memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let windows = self.windows.iter().map(|(device, row)| {
            let names: usize = row.metrics.iter().map(|(name, _)| name.len()).sum();
            let metrics = row.metrics.len() * size_of::<(Box<str>, Summary)>();
            size_of::<(Box<str>, Row)>() + device.len() + metrics + names
        });
        let alerts = self.alerts.iter().map(|alert| {
            let metric = alert.metric.as_ref().map_or(0, |metric| metric.len());
            size_of::<AlertRow>() + alert.device.len() + alert.rule.len() + metric + alert.payload.len()
        });
        let readings = self.readings.iter().map(|reading| {
            let names: usize = reading.values.iter().map(|(name, _)| name.len()).sum();
            let values = reading.values.len() * size_of::<(Box<str>, f64)>();
            size_of::<ReadingRow>() + reading.device.len() + values + names
        });
        windows.chain(alerts).chain(readings).sum()
    }
}

fn front<T>(rows: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = rows.split_off(count.min(rows.len()));
    std::mem::replace(rows, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(windows: usize, readings: u32) -> Batch {
        let row = Row { start: Timestamp::MAX, end: Timestamp::MAX, revision: 0, metrics: Vec::new() };
        let reading =
            |number| ReadingRow { device: "a".into(), at: Timestamp::MAX, number, values: Vec::new() };
        let windows = vec![("a".into(), row); windows];
        Batch { windows, readings: (0..readings).map(reading).collect(), ..Batch::default() }
    }

    #[test]
    fn a_batch_is_taken_in_parts_and_nothing_is_left_over() {
        let mut whole = batch(5, 7);
        let parts: Vec<(usize, usize)> = std::iter::from_fn(|| {
            let part = whole.take(4);
            (!part.is_empty()).then_some((part.windows.len(), part.readings.len()))
        })
        .collect();
        assert_eq!(parts, [(4, 0), (1, 3), (0, 4)]);
        assert!(whole.is_empty());
    }

    #[test]
    fn of_many_readings_the_newest_are_left() {
        let mut batch = batch(1, 10);
        batch.leave_newest_readings(5);
        assert_eq!(batch.readings.len(), 10);
        batch.leave_newest_readings(4);
        let numbers: Vec<u32> = batch.readings.iter().map(|reading| reading.number).collect();
        assert_eq!((numbers, batch.windows.len()), (vec![6, 7, 8, 9], 1));
    }
}
