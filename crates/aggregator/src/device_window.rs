//! One window of one device: its metrics, what was published of it, and when it is due next.

use gateway_core::{MetricKind, Reading, TimeQuality, Timestamp, Window, ZoneId};
use serde::{Deserialize, Serialize};

use crate::slot::Slot;
use crate::trail::Point;

/// What makes a window publish what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Due {
    /// Nothing in it that was not published.
    Nothing,
    /// The clock reaches its end and `lateness`.
    Clock(Timestamp),
    /// The clock has passed it: the device's watermark reaches its end and `lateness`, or the device falls silent.
    Watermark,
    /// A point in time, because late readings were gathered long enough, or the watermark passed the window.
    At(Timestamp),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeviceWindow {
    pub(crate) window: Window,
    pub(crate) slots: Vec<Slot>,
    /// Where the next reading is expected: devices send their metrics in the same order every time.
    next_slot: u32,
    /// Of the next publication; 0 as long as nothing was published.
    pub(crate) revision: u32,
    pub(crate) late: u32,
    /// Readings that no publication has answered for.
    pub(crate) unanswered: u32,
    pub(crate) quality: TimeQuality,
    /// The zone the device was in when the window was opened: corrections go where the first publication went.
    pub(crate) zone: Option<ZoneId>,
    pub(crate) due: Due,
}

impl DeviceWindow {
    pub(crate) const fn new(window: Window, zone: Option<ZoneId>) -> Self {
        Self {
            window,
            slots: Vec::new(),
            next_slot: 0,
            revision: 0,
            late: 0,
            unanswered: 0,
            quality: TimeQuality::Synced,
            zone,
            due: Due::Nothing,
        }
    }

    pub(crate) const fn is_published(&self) -> bool {
        self.revision > 0
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.due == Due::Nothing
    }

    /// Adds the reading to its metric, if that metric is in this window. Returns whether the metric has a trail, `None` if it is
    /// not here.
    pub(crate) fn insert(&mut self, reading: &Reading) -> Option<bool> {
        let expected = self.next_slot as usize;
        let place = match self.slots.get(expected) {
            Some(slot) if slot.metric == reading.metric => expected,
            _ => self.slots.iter().position(|slot| slot.metric == reading.metric)?,
        };
        let following = if place + 1 < self.slots.len() { place + 1 } else { 0 };
        self.next_slot = u32::try_from(following).unwrap_or(0);
        let slot = self.slots.get_mut(place)?;
        slot.push(Point { at: reading.at, value: reading.value });
        Some(slot.trail.is_some())
    }

    /// The same for a metric that is new here.
    pub(crate) fn insert_first(
        &mut self,
        reading: &Reading,
        kind: MetricKind,
        before: Option<Point>,
        sketch: bool,
    ) {
        let point = Point { at: reading.at, value: reading.value };
        let mut slot = Slot::new(reading.metric, kind, point, before, sketch);
        slot.push(point);
        self.slots.push(slot);
        self.next_slot = 0;
    }
}
