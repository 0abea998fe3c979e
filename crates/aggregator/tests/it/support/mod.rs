//! A timeline: readings and clock in, publications with their time out. Times are seconds after 2026-11-20T10:00:00Z.

use std::time::Duration;

use aggregator::{Admission, Aggregator, Settings};
use gateway_core::{
    Aggregate, DeviceId, MetricId, Now, Reading, Subject, Summary, TimeQuality, Timestamp, Window, ZoneId,
};

pub(crate) const TEN: i64 = 1_795_168_800_000;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(TEN + seconds * 1000)
}

pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.millis_after(Timestamp::from_millis(TEN)) / 1000
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Windows of 5 minutes, lateness 10 s, corrections for an hour.
pub(crate) fn settings() -> Settings {
    Settings::default()
}

/// What a test looks at: when it was published, whose, window start, revision, readings of metric 0, late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) published: i64,
    pub(crate) device: u32,
    pub(crate) start: i64,
    pub(crate) revision: u32,
    pub(crate) count: u64,
    pub(crate) late: u32,
}

pub(crate) struct Timeline {
    pub(crate) aggregator: Aggregator,
    pub(crate) now: i64,
    pub(crate) quality: Option<TimeQuality>,
    /// When (in seconds) and what.
    pub(crate) published: Vec<(i64, Aggregate)>,
    pub(crate) admitted: u64,
}

impl Timeline {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { aggregator: Aggregator::new(settings), now: 0, quality: None, published: vec![], admitted: 0 }
    }

    /// Lets the clock run to `now`, looking after the aggregator whenever it wants.
    pub(crate) fn until(&mut self, now: i64) -> &mut Self {
        while let Some(due) = self.aggregator.next_deadline().filter(|due| *due <= at(now)) {
            self.now = self.now.max(seconds(due));
            self.advance(due.max(at(self.now)));
        }
        self.now = now;
        self
    }

    fn advance(&mut self, now: Timestamp) {
        let mut out = Vec::new();
        let now = Now { at: now, quality: self.quality.unwrap_or(Now::at(now).quality) };
        self.aggregator.advance(now, &mut out);
        self.published.extend(out.into_iter().map(|aggregate| (self.now, aggregate)));
        self.balance();
    }

    /// Closes everything.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.advance(Timestamp::MAX);
        assert_eq!(self.aggregator.open_readings(), 0);
        self
    }

    /// A reading of metric 0 of device 0 that arrives when it is measured.
    pub(crate) fn live(&mut self, now: i64, value: f64) -> Admission {
        self.until(now).push(0, 0, now, value)
    }

    /// A reading, now.
    pub(crate) fn push(&mut self, device: u32, metric: u32, measured: i64, value: f64) -> Admission {
        let reading = Reading { device: DeviceId(device), metric: MetricId(metric), value, at: at(measured) };
        let now = at(self.now);
        let now = Now { at: now, quality: self.quality.unwrap_or(Now::at(now).quality) };
        let admission = self.aggregator.push(&reading, now);
        self.admitted += u64::from(admission == Admission::Admitted);
        self.balance();
        admission
    }

    pub(crate) fn step_clock(&mut self, to: i64) {
        self.aggregator.clock_stepped(at(self.now), at(to));
        self.now = to;
    }

    fn balance(&self) {
        let answered: u64 = self.published.iter().map(|(_, aggregate)| u64::from(aggregate.readings)).sum();
        assert_eq!(self.admitted, answered + self.aggregator.open_readings(), "the ledger does not balance");
    }

    pub(crate) fn briefs(&self) -> Vec<Brief> {
        let devices = self.published.iter().filter_map(|(published, aggregate)| match aggregate.subject {
            Subject::Device(device) => Some((*published, device.0, aggregate)),
            Subject::Zone(_) => None,
        });
        devices
            .map(|(published, device, aggregate)| Brief {
                published,
                device,
                start: seconds(aggregate.window.start),
                revision: aggregate.revision,
                count: summary(aggregate, 0).map_or(0, |summary| summary.count),
                late: aggregate.late,
            })
            .collect()
    }

    pub(crate) fn zones(&self) -> Vec<&(i64, Aggregate)> {
        self.published
            .iter()
            .filter(|(_, aggregate)| matches!(aggregate.subject, Subject::Zone(ZoneId(_))))
            .collect()
    }

    pub(crate) fn last(&self) -> &Aggregate {
        &self.published.last().expect("something was published").1
    }
}

pub(crate) fn summary(aggregate: &Aggregate, metric: u32) -> Option<&Summary> {
    aggregate.metrics.iter().find(|(known, _)| known.0 == metric).map(|(_, summary)| summary)
}

pub(crate) fn window(start: i64, end: i64) -> Window {
    Window { start: at(start), end: at(end) }
}
