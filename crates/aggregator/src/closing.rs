//! One device's windows: publishing those that are due, and forgetting those that are too old for corrections.
//!
//! Promises: exactly one publication accounts for each reading; a window's revisions count up from 0 without a gap; a
//! window is forgotten only when nothing in it waits to be published, and never opened again after that.

use gateway_core::{Aggregate, Detail, DeviceId, MetricId, Now, Subject, Timestamp, Window};

use crate::device::{Device, Rules, Totals};
use crate::device_window::Due;
use crate::settings::Spans;
use crate::trail::Point;
use crate::zone::{Contribution, Zones};

/// Windows that one device keeps for late readings.
pub const MAX_KEPT_PER_DEVICE: usize = 4096;
/// Windows that all devices together keep for late readings.
pub const MAX_KEPT: usize = 1 << 18;

/// Where closed windows go.
pub(crate) struct Closing<'a> {
    pub(crate) now: Now,
    pub(crate) rules: Rules<'a>,
    pub(crate) totals: &'a mut Totals,
    pub(crate) zones: &'a mut Zones,
    pub(crate) out: &'a mut Vec<Aggregate>,
}

impl Device {
    /// Publishes what is due, oldest window first.
    pub(crate) fn close_due(&mut self, id: DeviceId, closing: &mut Closing<'_>) {
        let now = closing.now.at;
        for place in self.first_open()..self.windows.len() {
            let due = self.windows.get(place).map_or(Due::Nothing, |window| window.due);
            if self.deadline(due, closing.rules.spans).is_some_and(|at| at <= now) {
                self.publish(place, id, closing);
            }
        }
        self.forget_old(closing);
        self.forget_over_limit(closing);
        self.find_wake(closing.rules.spans);
    }

    /// Place of the oldest window that has something unpublished.
    fn first_open(&self) -> usize {
        let open = self.windows.iter().enumerate().rev().filter(|(_, window)| !window.is_idle());
        open.take(self.open).last().map_or(self.windows.len(), |(place, _)| place)
    }

    fn publish(&mut self, place: usize, id: DeviceId, closing: &mut Closing<'_>) {
        let Some(window) = self.windows.get(place).map(|window| window.window) else { return };
        let details = self.details(place, window);
        let Some(open) = self.windows.get_mut(place) else { return };
        let percents = &closing.rules.settings.percentiles;
        let slots = open.slots.iter().zip(details);
        if let Some(zone) = open.zone.filter(|_| closing.rules.settings.by_zone) {
            let parts = slots.clone().map(|(slot, detail)| slot.part(detail)).collect();
            let contribution = Contribution { parts, late: open.late, quality: open.quality };
            let by_clock = matches!(open.due, Due::Clock(_));
            closing.zones.contribute(
                zone,
                window,
                id,
                contribution,
                by_clock,
                closing.now.at,
                closing.rules.spans,
            );
        }
        let mut metrics: Vec<_> =
            slots.map(|(slot, detail)| (slot.metric, slot.summary(detail, percents))).collect();
        metrics.sort_unstable_by_key(|(metric, _)| *metric);
        closing.out.push(Aggregate {
            subject: Subject::Device(id),
            window,
            metrics,
            revision: open.revision,
            late: open.late,
            time_quality: open.quality,
            readings: open.unanswered,
        });
        self.waiting -= usize::from(open.due == Due::Watermark);
        closing.totals.unanswered -= u64::from(open.unanswered);
        open.unanswered = 0;
        open.revision = open.revision.saturating_add(1);
        open.due = Due::Nothing;
        self.open -= 1;
        closing.totals.open -= 1;
        closing.totals.idle += 1;
    }

    /// The details of each metric of the window at `place`, in the order of its slots.
    fn details(&mut self, place: usize, window: Window) -> Vec<Detail> {
        let slots = self.windows.get(place).map_or(0, |window| window.slots.len());
        let mut details = Vec::with_capacity(slots);
        for number in 0..slots {
            let slot = self.windows.get(place).and_then(|window| window.slots.get(number));
            let last = slot.and_then(|slot| Some((slot.metric, slot.trail.as_ref()?.last()?)));
            let sealed = last.and_then(|(metric, last)| self.hand_over(place, window, metric, last));
            if let Some(slot) = self.windows.get_mut(place).and_then(|window| window.slots.get_mut(number)) {
                details.push(slot.detail(window, sealed));
                if let Some(trail) = &mut slot.trail {
                    trail.compact(sealed);
                }
            }
        }
        details
    }

    /// Settles with the later windows which one reports the step from one window to the next. An unpublished window continues
    /// from our latest reading. What a published window reported stands: returns the time from which we must not report it
    /// again.
    fn hand_over(
        &mut self,
        place: usize,
        window: Window,
        metric: MetricId,
        last: Point,
    ) -> Option<Timestamp> {
        let mut sealed: Option<Timestamp> = None;
        let later = self.windows.iter_mut().skip(place + 1).filter(|later| later.window.start >= window.end);
        for follower in later {
            let published = follower.is_published();
            let slot = follower.slots.iter_mut().find(|slot| slot.metric == metric);
            let Some(trail) = slot.and_then(|slot| slot.trail.as_mut()) else { continue };
            if published {
                let reported_from = trail.before.map(|before| before.at);
                sealed = [sealed, reported_from].into_iter().flatten().min();
            } else if trail.before.is_none_or(|before| before.at <= last.at) {
                trail.before = Some(last);
            }
        }
        sealed
    }

    fn forget_old(&mut self, closing: &mut Closing<'_>) {
        let Spans { correct_for, lateness, .. } = *closing.rules.spans;
        while let Some(oldest) = self.windows.front()
            && oldest.is_idle()
            && self.age(oldest.window.end, closing.now) > correct_for.max(lateness)
        {
            self.forget(0, closing.totals);
        }
    }

    /// The device that exceeds a limit loses its oldest idle windows. If the clock was set far back, windows ahead of it go first.
    fn forget_over_limit(&mut self, closing: &mut Closing<'_>) {
        let max_future = closing.rules.spans.max_future;
        while self.windows.len() - self.open > MAX_KEPT_PER_DEVICE || closing.totals.idle > MAX_KEPT {
            let ahead = self.windows.back().is_some_and(|newest| {
                newest.is_idle() && newest.window.start.millis_after(closing.now.at) > max_future
            });
            let oldest = || self.windows.iter().position(|window| window.is_idle());
            let Some(place) = (if ahead { self.windows.len().checked_sub(1) } else { oldest() }) else {
                return;
            };
            self.forget(place, closing.totals);
        }
    }

    fn forget(&mut self, place: usize, totals: &mut Totals) {
        if let Some(window) = self.windows.remove(place) {
            self.forgotten.add(window.window.end);
            totals.idle -= 1;
        }
    }
}
