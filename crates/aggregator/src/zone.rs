//! Aggregates of zones: merged from what their devices have published.
//!
//! A zone's window is published once the clock has passed its end and `lateness`, together with the devices' own; when a
//! device's window comes later or is corrected, the zone follows with a correction, gathered as long as late readings are. It
//! is kept for `correct_for` after its end and after its last publication, by the clock; a device's result for a window that is
//! no longer kept stays out of the zone (the device's aggregate is published all the same).
//!
//! A zone's aggregates account for no reading: those of its devices did.

use std::collections::{BTreeMap, VecDeque};

use gateway_core::{Aggregate, DeviceId, MetricId, Subject, TimeQuality, Timestamp, Window, ZoneId};
use serde::{Deserialize, Serialize};

use crate::deadlines::Deadlines;
use crate::forgotten::Forgotten;
use crate::settings::{Settings, Spans, shifted};
use crate::slot::Part;

/// Windows of devices that all zones together keep.
pub const MAX_CONTRIBUTIONS: usize = 1 << 18;

/// What one device's window gives to its zone's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contribution {
    pub(crate) parts: Vec<Part>,
    pub(crate) late: u32,
    pub(crate) quality: TimeQuality,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ZoneWindow {
    window: Window,
    contributions: BTreeMap<DeviceId, Contribution>,
    /// Of the next publication.
    revision: u32,
    due: Option<Timestamp>,
    published: Timestamp,
    stepped: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Zone {
    /// Ascending.
    windows: VecDeque<ZoneWindow>,
    wake: Option<Timestamp>,
    forgotten: Forgotten,
}

/// All zones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Zones {
    zones: BTreeMap<ZoneId, Zone>,
    deadlines: Deadlines<ZoneId>,
    contributions: usize,
}

impl Zones {
    pub(crate) const fn new() -> Self {
        Self { zones: BTreeMap::new(), deadlines: Deadlines::new(), contributions: 0 }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.earliest()
    }

    /// A device has published a window; `by_clock` where its end was awaited by the clock, together with its neighbours'.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call, and a struct for it would only repeat the names"
    )]
    pub(crate) fn contribute(
        &mut self,
        id: ZoneId,
        window: Window,
        device: DeviceId,
        contribution: Contribution,
        by_clock: bool,
        now: Timestamp,
        spans: &Spans,
    ) {
        let zone = self.zones.entry(id).or_default();
        let Some(open) = zone.window(window) else { return };
        let ends = shifted(window.end, spans.lateness);
        let due = if by_clock && open.revision == 0 {
            now
        } else if now < ends {
            ends
        } else {
            shifted(now, spans.gather)
        };
        open.due = Some(open.due.map_or(due, |known| known.min(due)));
        self.contributions += usize::from(open.contributions.insert(device, contribution).is_none());
        let wake = zone.wake.map_or(due, |wake| wake.min(due));
        self.deadlines.change(id, zone.wake, Some(wake));
        zone.wake = Some(wake);
    }

    pub(crate) fn advance(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        spans: &Spans,
        out: &mut Vec<Aggregate>,
    ) {
        while let Some(id) = self.deadlines.due(now) {
            let Some(zone) = self.zones.get_mut(&id) else { return };
            for window in zone.windows.iter_mut().filter(|window| window.due.is_some_and(|due| due <= now)) {
                out.push(window.publish(id, now, settings));
            }
            while zone.windows.front().is_some_and(|oldest| {
                oldest.is_idle()
                    && (self.contributions > MAX_CONTRIBUTIONS || oldest.is_over(now, spans.correct_for))
            }) {
                self.contributions -= zone.forget_oldest();
            }
            let wake = zone.windows.iter().filter_map(|window| window.due).min();
            self.deadlines.change(id, zone.wake, wake);
            zone.wake = wake;
        }
    }

    /// The clock was set by so many milliseconds.
    pub(crate) fn clock_stepped(&mut self, by: i64, new: Timestamp) {
        for (id, zone) in &mut self.zones {
            for window in &mut zone.windows {
                window.published = shifted(window.published, by);
                window.stepped |= window.revision == 0 || (by < 0 && window.window.end > new);
                window.due = window.due.map(|due| shifted(due, by.min(0)));
            }
            let wake = zone.windows.iter().filter_map(|window| window.due).min();
            self.deadlines.change(*id, zone.wake, wake);
            zone.wake = wake;
        }
    }
}

impl Zone {
    /// The window, opened if need be; none if it may have been forgotten.
    fn window(&mut self, window: Window) -> Option<&mut ZoneWindow> {
        let place = self.windows.partition_point(|known| known.window < window);
        if self.windows.get(place).is_none_or(|known| known.window != window) {
            if self.forgotten.holds(window.end) {
                return None;
            }
            self.windows.insert(place, ZoneWindow::new(window));
        }
        self.windows.get_mut(place)
    }

    /// Returns how many contributions were in it.
    fn forget_oldest(&mut self) -> usize {
        self.windows.pop_front().map_or(0, |oldest| {
            self.forgotten.add(oldest.window.end);
            oldest.contributions.len()
        })
    }
}

impl ZoneWindow {
    const fn new(window: Window) -> Self {
        Self {
            window,
            contributions: BTreeMap::new(),
            revision: 0,
            due: None,
            published: window.end,
            stepped: false,
        }
    }

    const fn is_idle(&self) -> bool {
        self.due.is_none()
    }

    fn is_over(&self, now: Timestamp, correct_for: i64) -> bool {
        now.millis_after(self.window.end.max(self.published)) > correct_for
    }

    fn publish(&mut self, id: ZoneId, now: Timestamp, settings: &Settings) -> Aggregate {
        let mut merged: BTreeMap<MetricId, Part> = BTreeMap::new();
        for part in self.contributions.values().flat_map(|contribution| &contribution.parts) {
            merged.entry(part.metric).and_modify(|known| known.merge(part)).or_insert_with(|| part.clone());
        }
        let step = if self.stepped { TimeQuality::Stepped } else { TimeQuality::Synced };
        let qualities = self.contributions.values().map(|contribution| contribution.quality);
        let late = self.contributions.values().map(|contribution| contribution.late);
        let aggregate = Aggregate {
            subject: Subject::Zone(id),
            window: self.window,
            metrics: merged
                .into_iter()
                .map(|(metric, part)| (metric, part.summary(&settings.percentiles)))
                .collect(),
            revision: self.revision,
            late: late.fold(0, u32::saturating_add),
            time_quality: qualities.fold(step, TimeQuality::max),
            readings: 0,
        };
        self.revision = self.revision.saturating_add(1);
        self.due = None;
        self.published = now;
        aggregate
    }
}
