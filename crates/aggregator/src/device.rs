//! One device's windows: which of them a reading goes into.
//!
//! A device's watermark is the newest event time it ever sent, never ahead of a trusted clock. Lateness is measured by it, so
//! a device that was offline may deliver hours of readings in order. It also closes windows that the clock had passed before
//! they were opened. Publishing and forgetting windows is in `closing.rs`.

use std::collections::{BTreeMap, VecDeque};

use gateway_core::{MetricId, MetricKind, Now, Reading, TimeQuality, Timestamp, Window, ZoneId};
use serde::{Deserialize, Serialize};

use crate::Admission;
use crate::arrivals::Arrivals;
use crate::device_window::{DeviceWindow, Due};
use crate::forgotten::Forgotten;
use crate::settings::{Settings, Spans, shifted};
use crate::trail::Point;

/// Windows of one device with something in them that was not published.
pub const MAX_OPEN_PER_DEVICE: usize = 256;
/// The same, of all devices together.
pub const MAX_OPEN: usize = 1 << 18;

/// What all devices share: settings and kinds of metrics.
pub(crate) struct Rules<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) spans: &'a Spans,
    pub(crate) kinds: &'a BTreeMap<MetricId, MetricKind>,
}

/// Sums over all devices.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Readings admitted that no publication has answered for.
    pub(crate) unanswered: u64,
    /// Windows with something unpublished.
    pub(crate) open: usize,
    /// Windows published and kept for late readings.
    pub(crate) idle: usize,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    /// Ascending.
    pub(crate) windows: VecDeque<DeviceWindow>,
    /// How many of them are not idle, and how many of those wait for the watermark.
    pub(crate) open: usize,
    pub(crate) waiting: usize,
    /// When to look at it again; never later than the first of its windows is due.
    pub(crate) wake: Option<Timestamp>,
    watermark: Option<Timestamp>,
    arrivals: Arrivals,
    pub(crate) zone: Option<ZoneId>,
    /// The latest reading of each metric that is no gauge.
    latest: Vec<(MetricId, Point)>,
    pub(crate) forgotten: Forgotten,
}

/// One reading on its way into windows.
struct Push<'a> {
    reading: &'a Reading,
    now: Now,
    /// The watermark before this reading.
    watermark_before: Option<Timestamp>,
    /// Whether this window answers for the reading in the ledger.
    answers: bool,
}

impl Device {
    pub(crate) fn push(
        &mut self,
        reading: &Reading,
        now: Now,
        rules: &Rules<'_>,
        totals: &mut Totals,
    ) -> Admission {
        let watermark_before = self.watermark_at(now);
        self.record_arrival(reading.at, now, rules.spans);
        let mut push = Push { reading, now, watermark_before, answers: true };
        if let Some(newest) = self.newest_containing(reading.at, rules.spans) {
            self.insert(newest, &push, rules, totals);
            return Admission::Admitted;
        }
        let mut refusal = Admission::Late;
        let (length, every) = (rules.settings.length, rules.settings.every);
        for window in Window::containing(reading.at, length, every) {
            match self.place_of(window, now, rules.spans, totals) {
                Ok(place) => {
                    self.insert(place, &push, rules, totals);
                    push.answers = false;
                }
                Err(reason) => refusal = reason,
            }
        }
        if push.answers { refusal } else { Admission::Admitted }
    }

    /// The watermark, at most now if the clock is set; none before the first reading.
    pub(crate) fn watermark_at(&self, now: Now) -> Option<Timestamp> {
        match now.quality {
            TimeQuality::Unsynced => self.watermark,
            TimeQuality::Synced | TimeQuality::Stepped => {
                self.watermark.map(|watermark| watermark.min(now.at))
            }
        }
    }

    /// How far `end` lies behind both the clock and the watermark, in milliseconds.
    pub(crate) fn age(&self, end: Timestamp, now: Now) -> i64 {
        self.watermark.map_or(now.at, |watermark| watermark.min(now.at)).millis_after(end)
    }

    /// When a window is due.
    pub(crate) fn deadline(&self, due: Due, spans: &Spans) -> Option<Timestamp> {
        match due {
            Due::Nothing => None,
            Due::Clock(at) | Due::At(at) => Some(at),
            Due::Watermark => self.arrivals.silent_at(spans.lateness, spans.length.max(spans.lateness)),
        }
    }

    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// The clock was set from `old` to `new`.
    ///
    /// Windows that wait for the clock keep the time they had still to wait when it is set back, and are due at once when it
    /// is set forward past their end. What waits for time to pass, passes.
    pub(crate) fn clock_stepped(&mut self, old: Timestamp, new: Timestamp, spans: &Spans) {
        let by = new.millis_after(old);
        self.watermark = self.watermark.map(|watermark| watermark.min(new));
        self.arrivals.shift(by);
        for window in &mut self.windows {
            let comes_again = by < 0 && window.window.end > new;
            if comes_again || !window.is_published() {
                window.quality = window.quality.max(TimeQuality::Stepped);
            }
            window.due = match window.due {
                Due::Clock(at) if by < 0 => Due::Clock(shifted(at, by)),
                Due::At(at) => Due::At(shifted(at, by)),
                due => due,
            };
        }
        self.find_wake(spans);
    }

    pub(crate) fn find_wake(&mut self, spans: &Spans) {
        let open = self.windows.iter().rev().filter(|window| !window.is_idle()).take(self.open);
        self.wake = open.filter_map(|window| self.deadline(window.due, spans)).min();
    }

    /// Records an arrival, advances the watermark, and wakes windows that waited for it.
    fn record_arrival(&mut self, at: Timestamp, now: Now, spans: &Spans) {
        let believed = if now.quality == TimeQuality::Unsynced { at } else { at.min(now.at) };
        let advanced = self.watermark.is_none_or(|watermark| believed > watermark);
        if advanced {
            self.watermark = Some(believed);
        }
        self.arrivals.record(now.at);
        if self.waiting == 0 {
            return;
        }
        if advanced {
            self.release_waiting(believed, now.at, spans);
        }
        if self.waiting > 0
            && let Some(silent) = self.deadline(Due::Watermark, spans)
        {
            self.wake_at(silent);
        }
    }

    fn release_waiting(&mut self, watermark: Timestamp, now: Timestamp, spans: &Spans) {
        let mut released = 0;
        let waiting =
            self.windows.iter_mut().rev().filter(|window| window.due == Due::Watermark).take(self.waiting);
        for window in waiting {
            if watermark.millis_after(window.window.end) >= spans.lateness {
                window.due = Due::At(now);
                released += 1;
            }
        }
        if released > 0 {
            self.waiting -= released;
            self.wake_at(now);
        }
    }

    /// The fast path: nearly every reading belongs into the newest window of its device.
    fn newest_containing(&self, at: Timestamp, spans: &Spans) -> Option<usize> {
        let newest = self.windows.back()?;
        let fits = spans.tumbling
            && !newest.is_published()
            && newest.window.contains(at)
            && newest.window.end.millis_after(newest.window.start) == spans.length;
        fits.then(|| self.windows.len() - 1)
    }

    /// Where `window` is, opened if need be; or why it takes no reading.
    fn place_of(
        &mut self,
        window: Window,
        now: Now,
        spans: &Spans,
        totals: &Totals,
    ) -> Result<usize, Admission> {
        let too_late = self.age(window.end, now) > spans.correct_for.max(spans.lateness);
        let place = self.windows.partition_point(|known| known.window < window);
        if let Some(known) = self.windows.get(place).filter(|known| known.window == window) {
            let closed = known.is_published() && too_late;
            return if closed { Err(Admission::Late) } else { Ok(place) };
        }
        if too_late || self.forgotten.holds(window.end) {
            return Err(Admission::Late);
        }
        if self.open >= MAX_OPEN_PER_DEVICE || totals.open >= MAX_OPEN {
            return Err(Admission::TooManyWindows);
        }
        self.windows.insert(place, DeviceWindow::new(window, self.zone));
        Ok(place)
    }

    fn insert(&mut self, place: usize, push: &Push<'_>, rules: &Rules<'_>, totals: &mut Totals) {
        let spans = rules.spans;
        let Some(window) = self.windows.get_mut(place) else { return };
        let passed = push
            .watermark_before
            .is_some_and(|watermark| watermark.millis_after(window.window.end) >= spans.lateness);
        let late = passed || window.is_published();
        window.late = window.late.saturating_add(u32::from(late));
        window.quality = window.quality.max(push.now.quality);
        if push.answers {
            window.unanswered = window.unanswered.saturating_add(1);
            totals.unanswered += 1;
        }
        let has_trail = window.insert(push.reading);
        if window.is_idle() {
            window.due = due(window.window, late, push.now, spans);
            let due = window.due;
            if window.is_published() {
                totals.idle -= 1;
            }
            totals.open += 1;
            self.open += 1;
            self.waiting += usize::from(due == Due::Watermark);
            if let Some(at) = self.deadline(due, spans) {
                self.wake_at(at);
            }
        }
        let has_neighbours = has_trail.unwrap_or_else(|| self.insert_first(place, push.reading, rules));
        if has_neighbours && push.answers {
            self.record_latest(push.reading);
        }
    }

    /// Adds the first reading of a metric to a window. Returns whether its kind needs the reading before it (no gauge does).
    fn insert_first(&mut self, place: usize, reading: &Reading, rules: &Rules<'_>) -> bool {
        let kind = rules.kinds.get(&reading.metric).copied().unwrap_or_default();
        let has_neighbours = kind != MetricKind::Gauge;
        let before = if has_neighbours { self.before(place, reading.metric) } else { None };
        if let Some(window) = self.windows.get_mut(place) {
            window.insert_first(reading, kind, before, !rules.settings.percentiles.is_empty());
        }
        has_neighbours
    }

    /// The latest reading of a metric that lies before the window at `place`, as far as it is still known.
    fn before(&self, place: usize, metric: MetricId) -> Option<Point> {
        let start = self.windows.get(place)?.window.start;
        let latest = self.latest.iter().find(|(known, _)| *known == metric)?.1;
        if latest.at < start {
            return Some(latest);
        }
        let earlier = self.windows.iter().take(place).rev();
        let mut slots = earlier.filter_map(|window| window.slots.iter().find(|slot| slot.metric == metric));
        slots.find_map(|slot| slot.trail.as_ref()?.latest_before(start))
    }

    fn record_latest(&mut self, reading: &Reading) {
        let point = Point { at: reading.at, value: reading.value };
        match self.latest.iter_mut().find(|(metric, _)| *metric == reading.metric) {
            Some((_, latest)) if point.at >= latest.at => *latest = point,
            Some(_) => {}
            None => self.latest.push((reading.metric, point)),
        }
    }
}

/// When a window is due after its first reading, or its first one since it was published.
fn due(window: Window, late: bool, now: Now, spans: &Spans) -> Due {
    let ends = shifted(window.end, spans.lateness);
    let beyond_the_clock =
        now.quality == TimeQuality::Unsynced && window.end.millis_after(now.at) > spans.max_future;
    if now.at < ends && !beyond_the_clock {
        Due::Clock(ends)
    } else if late {
        Due::At(shifted(now.at, spans.gather))
    } else {
        Due::Watermark
    }
}
