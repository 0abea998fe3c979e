//! Windows over readings, by event time: sans-IO and deterministic.
//!
//! Readings go into [`Aggregator::push`], [`Aggregate`]s come out of [`Aggregator::advance`]; each call is given the time. The
//! same calls give the same aggregates in the same order, and the whole state can be serialised at any time.
//!
//! # When a window is published
//! - Ordinarily when the clock reaches its end and `lateness`.
//! - A window that the clock had passed before its first reading came (a batch of old readings, a device whose clock is
//!   behind) closes by the device's watermark, its newest event time: when the watermark reaches the window's end and
//!   `lateness`, or when the device has been silent for two of its usual intervals (at least `lateness`, at most the
//!   window's length).
//! - A late reading is one for a window that was published, or that the watermark had passed. Late readings are gathered for
//!   `lateness` (at least a second; not at all if it is 0), then the window is published with the next revision, or with
//!   revision 0 if it held no reading before. `late` counts all late readings of the window. A batch of old readings in
//!   order contains no late readings.
//!
//! # What is refused
//! Each refusal is an [`Admission`]: readings too far ahead of a trusted clock, and late readings for windows that ended
//! longer than `correct_for` (or `lateness`, if longer) ago by both the clock and the watermark. A published window is kept
//! exactly that long, within [`MAX_KEPT_PER_DEVICE`] and [`MAX_KEPT`], and never opened again.
//!
//! # The ledger
//! Readings admitted = the sum of [`Aggregate::readings`] over all publications + [`Aggregator::open_readings`].

mod admission;
mod arrivals;
mod closing;
mod deadlines;
mod device;
mod device_window;
mod forgotten;
mod settings;
mod sketch;
mod slot;
mod stats;
mod trail;
mod zone;

use std::collections::BTreeMap;

use gateway_core::{Aggregate, DeviceId, MetricId, MetricKind, Now, Reading, TimeQuality, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};

pub use admission::Admission;
pub use closing::{MAX_KEPT, MAX_KEPT_PER_DEVICE};
pub use device::{MAX_OPEN, MAX_OPEN_PER_DEVICE};
pub use settings::{MAX_LENGTH, MAX_OVERLAP, MAX_PERCENTILES, MAX_SPAN, MIN_GATHER, Settings};
pub use sketch::ACCURACY;
pub use trail::MAX_STATES;
pub use zone::MAX_CONTRIBUTIONS;

use closing::Closing;
use deadlines::Deadlines;
use device::{Device, Rules, Totals};
use settings::Spans;
use zone::Zones;

/// Devices are numbered from 0; a reading of a device beyond this number is refused with [`Admission::TooManyWindows`].
pub const MAX_DEVICES: usize = 1 << 17;

/// With more open windows than this, a device may lack room for all windows of its next reading.
const ROOMY: usize = MAX_OPEN_PER_DEVICE - MAX_OVERLAP as usize;

/// All windows of all devices and zones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Aggregator {
    settings: Settings,
    spans: Spans,
    kinds: BTreeMap<MetricId, MetricKind>,
    /// By device id.
    devices: Vec<Device>,
    deadlines: Deadlines<DeviceId>,
    totals: Totals,
    zones: Zones,
    /// Closed during a push, to make room, and since when they wait for `advance`.
    ready: Vec<Aggregate>,
    ready_since: Option<Timestamp>,
}

impl Aggregator {
    /// Without devices. Settings out of range are moved to their limits ([`Settings::within_limits`]).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let settings = settings.within_limits();
        Self {
            spans: Spans::from(&settings),
            settings,
            kinds: BTreeMap::new(),
            devices: Vec::new(),
            deadlines: Deadlines::new(),
            totals: Totals::default(),
            zones: Zones::new(),
            ready: Vec::new(),
            ready_since: None,
        }
    }

    /// The settings in force: those it was given, within the limits.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Uses other settings from now on. Windows that are open keep their start, end and deadline; readings from now on go
    /// into windows of the new length.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings.within_limits();
        self.spans = Spans::from(&self.settings);
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            let old = device.wake;
            device.find_wake(&self.spans);
            self.deadlines.change(id, old, device.wake);
        }
    }

    /// Where a device is, before its first reading or later; windows that are open stay with the zone they were opened in.
    pub fn set_zone(&mut self, device: DeviceId, zone: Option<ZoneId>) {
        if let Some(device) = device_mut(&mut self.devices, device) {
            device.zone = zone;
        }
    }

    /// Sets the kind of a metric, before its first reading; the default is a gauge. In open windows a metric keeps its kind.
    pub fn set_kind(&mut self, metric: MetricId, kind: MetricKind) {
        match kind {
            MetricKind::Gauge => self.kinds.remove(&metric),
            MetricKind::Counter | MetricKind::State => self.kinds.insert(metric, kind),
        };
    }

    /// Puts a reading into its windows. It comes out of [`Self::advance`], never from here.
    ///
    /// With hopping windows it goes into all those that still take it, and is refused if none does. A reading may make
    /// windows due by its device's watermark: call [`Self::advance`] when [`Self::next_deadline`] says so, also between the readings of a
    /// batch. (If that is not done and the device's windows become many, those due are closed here and wait for the next
    /// `advance`.) Where a device has no room for all of its hopping windows, the reading goes into those it has.
    pub fn push(&mut self, reading: &Reading, now: Now) -> Admission {
        if !reading.value.is_finite() {
            return Admission::NotFinite;
        }
        let ahead = reading.at.millis_after(now.at);
        if ahead > self.spans.max_future && now.quality != TimeQuality::Unsynced {
            return Admission::Future;
        }
        let Some(device) = device_mut(&mut self.devices, reading.device) else {
            return Admission::TooManyWindows;
        };
        if device.open > ROOMY && device.wake.is_some_and(|wake| wake <= now.at) {
            self.make_room(reading.device, now);
        }
        let Some(device) = device_mut(&mut self.devices, reading.device) else {
            return Admission::TooManyWindows;
        };
        let wake = device.wake;
        let rules = Rules { settings: &self.settings, spans: &self.spans, kinds: &self.kinds };
        let admission = device.push(reading, now, &rules, &mut self.totals);
        if device.wake != wake {
            self.deadlines.change(reading.device, wake, device.wake);
        }
        admission
    }

    /// Appends what is due at `now` to `out`, ordered by window and subject. `Timestamp::MAX` closes everything.
    pub fn advance(&mut self, now: Now, out: &mut Vec<Aggregate>) {
        if self.next_deadline().is_none_or(|at| at > now.at) {
            return;
        }
        let first = out.len();
        out.append(&mut self.ready);
        self.ready_since = None;
        while let Some(id) = self.deadlines.due(now.at) {
            self.close_due(id, now, out);
        }
        self.zones.advance(now.at, &self.settings, &self.spans, out);
        if let Some(new) = out.get_mut(first..) {
            new.sort_unstable_by_key(|aggregate| (aggregate.window, aggregate.subject, aggregate.revision));
        }
    }

    /// When [`Self::advance`] may have something to publish; not after now if a push has made something due. Then there may
    /// still be nothing, because a device that was expected to fall silent sent again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [self.deadlines.earliest(), self.zones.next_deadline(), self.ready_since];
        deadlines.into_iter().flatten().min()
    }

    /// The wall clock was set from `old` to `new`. Readings stay in their windows, which get the `time_quality` `stepped`.
    ///
    /// Set back: windows that wait for the clock keep the time they had still to wait. Set forward: they are due when the
    /// new time has passed their end.
    pub fn clock_stepped(&mut self, old: Timestamp, new: Timestamp) {
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            let wake = device.wake;
            device.clock_stepped(old, new, &self.spans);
            self.deadlines.change(id, wake, device.wake);
        }
        let by = new.millis_after(old);
        self.zones.clock_stepped(by, new);
        self.ready_since = self.ready_since.map(|since| since.min(new));
    }

    /// Readings admitted that no publication accounts for yet.
    #[must_use]
    pub fn open_readings(&self) -> u64 {
        let ready: u64 = self.ready.iter().map(|aggregate| u64::from(aggregate.readings)).sum();
        self.totals.unanswered + ready
    }

    /// Closes what is due of one device ahead of the next `advance`.
    fn make_room(&mut self, id: DeviceId, now: Now) {
        let mut ready = std::mem::take(&mut self.ready);
        self.close_due(id, now, &mut ready);
        self.ready = ready;
        self.ready_since = Some(self.ready_since.map_or(now.at, |since| since.min(now.at)));
    }

    fn close_due(&mut self, id: DeviceId, now: Now, out: &mut Vec<Aggregate>) {
        let Some(device) = device_mut(&mut self.devices, id) else { return };
        let wake = device.wake;
        let rules = Rules { settings: &self.settings, spans: &self.spans, kinds: &self.kinds };
        let (totals, zones) = (&mut self.totals, &mut self.zones);
        device.close_due(id, &mut Closing { now, rules, totals, zones, out });
        self.deadlines.change(id, wake, device.wake);
    }
}

/// The device with this number, made if need be; none beyond [`MAX_DEVICES`].
fn device_mut(devices: &mut Vec<Device>, id: DeviceId) -> Option<&mut Device> {
    let place = id.0 as usize;
    if place >= devices.len() {
        if place >= MAX_DEVICES {
            return None;
        }
        devices.resize_with(place + 1, Device::default);
    }
    devices.get_mut(place)
}
