//! Simulates weeks of a building: rooms with people, weather, heating, imprecise sensors, and faults.
//!
//! Sans-IO and without a clock: [`Month`] gives the readings in the order of time, as fast as they are requested. It computes
//! every minute and reads the sensors at an interval. The values of a device depend only on the seed, the start and its own
//! faults, not on the interval, other devices or their faults. `docs/anomaly.md` describes its use.

mod calendar;
mod device;
mod fault;
mod layout;
mod planned;
mod plant;
mod room;
mod season;
mod sensor;
mod wander;
mod weather;

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Timestamp;

pub use fault::{Fault, NoSuchFault};
pub use planned::{Planned, PlannedError};
pub use sensor::Metric;

use calendar::{Calendar, Minute};
use device::{Context, Device};
use layout::{Kind, circuit_of};
use plant::{Heating, Program};
use room::{Room, RoomContext};
use weather::{Sky, Weather};

/// The minutes simulated before the first reading.
const WARM_UP: i64 = 3 * 1440;
/// The default number of devices: 50 series.
pub const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(24);

/// The settings of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The seed of the building.
    pub seed: u64,
    /// The first reading; seconds are cut. Local time is UTC.
    pub from: Timestamp,
    /// The number of days.
    pub days: NonZeroU32,
    /// The interval of the readings, in whole minutes.
    pub every: Duration,
    /// The number of devices of the building.
    pub devices: NonZeroUsize,
    /// Only return readings of this zone; they do not depend on it.
    pub zone: Option<String>,
    /// The faults.
    pub faults: Vec<Planned>,
}

/// Invalid settings of a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonthError {
    /// The interval is not whole minutes.
    #[error("readings every {every:?} cannot be simulated; give whole minutes, from 1m on")]
    Every {
        /// The requested value.
        every: Duration,
    },
    /// No device is in the zone.
    #[error("no device is in zone `{zone}`; there are {zones}")]
    NoSuchZone {
        /// The requested value.
        zone: String,
        /// The existing ones.
        zones: String,
    },
    /// The device of a fault does not exist.
    #[error("there is no device `{device}` to go wrong; there are {devices}")]
    NoSuchDevice {
        /// The requested value.
        device: String,
        /// The existing ones.
        devices: String,
    },
    /// A fault would start after the end of the month.
    #[error("{fault} is to begin at {from}, which is not before the end at {end}")]
    TooLate {
        /// The requested value.
        fault: Fault,
        /// The start of the fault.
        from: Timestamp,
        /// The end of the month.
        end: Timestamp,
    },
    /// The fault cannot happen to that device, or to any.
    #[error("{fault} cannot happen to {place}")]
    DoesNotSuit {
        /// The requested value.
        fault: Fault,
        /// The device, with the metric if one was requested.
        place: String,
    },
}

/// The measurements of one device at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device's name.
    pub device: Arc<str>,
    /// The device's zone.
    pub zone: Arc<str>,
    /// The time of the measurement.
    pub at: Timestamp,
    /// The values, each metric once.
    pub values: Vec<(Metric, f64)>,
}

/// A fault with its device and metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// The kind of fault.
    pub fault: Fault,
    /// The device.
    pub device: Arc<str>,
    /// The metric.
    pub metric: Metric,
    /// The start.
    pub from: Timestamp,
}

/// A room with devices, and its faults.
#[derive(Debug, Clone)]
struct ObservedRoom {
    room: Room,
    window_open_from: Option<Minute>,
    heated_from: Option<Minute>,
}

/// The readings of all devices, in the order of time.
#[derive(Debug, Clone)]
pub struct Month {
    calendar: Calendar,
    weather: Weather,
    heating: Heating,
    /// The rooms by number; only those with devices.
    rooms: BTreeMap<usize, ObservedRoom>,
    /// The heating circuits with a broken schedule, and its start.
    circuits_heated_from: BTreeMap<usize, Minute>,
    devices: Vec<Device>,
    planned_faults: Vec<PlannedFault>,
    begin: Minute,
    end: Minute,
    every: i64,
    /// The next minute to simulate.
    next: Minute,
    /// Readings not yet returned.
    rows: VecDeque<Row>,
}

impl Month {
    /// # Errors
    /// `every` is not whole minutes, or a zone or the device of a fault does not exist.
    pub fn new(settings: &Settings) -> Result<Self, MonthError> {
        let every = minutes(settings.every)?;
        let devices = devices(settings)?;
        let begin = Minute::of(settings.from);
        let next = Minute(begin.0 - WARM_UP);
        let numbers = devices.iter().filter(|device| device.kind != Kind::Weather).map(|device| device.room);
        let live = |number: usize| {
            let room = Room::new(settings.seed, number as u64);
            (number, ObservedRoom { room, window_open_from: None, heated_from: None })
        };
        let mut month = Self {
            calendar: Calendar::new(settings.seed, begin),
            weather: Weather::new(settings.seed, next),
            heating: Heating::default(),
            rooms: numbers.map(live).collect(),
            circuits_heated_from: BTreeMap::new(),
            devices,
            planned_faults: Vec::new(),
            begin,
            end: Minute(begin.0 + i64::from(settings.days.get()) * 1440),
            every,
            next,
            rows: VecDeque::new(),
        };
        for planned in &settings.faults {
            month.plan(planned)?;
        }
        Ok(month)
    }

    /// Name and zone of each device.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.devices.iter().map(|device| (&*device.name, &*device.zone))
    }

    /// The faults with their devices and starts, in the order of the settings.
    #[must_use]
    pub fn planned_faults(&self) -> &[PlannedFault] {
        &self.planned_faults
    }

    fn plan(&mut self, planned: &Planned) -> Result<(), MonthError> {
        let Planned { fault, .. } = *planned;
        let (index, metric) = self.find_target(planned)?;
        let from = Minute::of(self.begin.at() + planned.after);
        if from >= self.end {
            return Err(MonthError::TooLate { fault, from: from.at(), end: self.end.at() });
        }
        let Some(device) = self.devices.get_mut(index) else { return Ok(()) };
        match fault {
            Fault::HeatingAtNight if device.kind == Kind::Heating => {
                self.circuits_heated_from.insert(device.room, from);
            }
            Fault::HeatingAtNight => {
                if let Some(observed) = self.rooms.get_mut(&device.room) {
                    observed.heated_from = Some(from);
                }
            }
            Fault::WindowOpen => {
                if let Some(observed) = self.rooms.get_mut(&device.room) {
                    observed.window_open_from = Some(from);
                }
            }
            _ => device.fail(metric, fault, from),
        }
        self.planned_faults.push(PlannedFault {
            fault,
            device: device.name.clone(),
            metric,
            from: from.at(),
        });
        Ok(())
    }

    /// The device, by index, and its metric.
    fn find_target(&self, planned: &Planned) -> Result<(usize, Metric), MonthError> {
        let Planned { fault, ref device, metric, .. } = *planned;
        let wanted = |name: &str| device.as_deref().is_none_or(|wanted| wanted == name);
        let mut candidates =
            self.devices.iter().enumerate().filter(|(_, device)| wanted(&device.name)).peekable();
        if candidates.peek().is_none() {
            return Err(MonthError::NoSuchDevice {
                device: device.clone().unwrap_or_default(),
                devices: listed(self.places().map(|(name, _)| name)),
            });
        }
        let found = candidates.find_map(|(index, device)| Some((index, device.suiting(fault, metric)?)));
        found.ok_or_else(|| {
            let device = device.as_deref().unwrap_or("any of these devices");
            let metric = metric.map_or_else(String::new, |metric| format!("/{}", metric.as_str()));
            MonthError::DoesNotSuit { fault, place: format!("{device}{metric}") }
        })
    }

    /// Simulates one minute, and reads the sensors if it is time.
    fn step(&mut self) {
        let minute = self.next;
        self.next = Minute(minute.0 + 1);
        let sky = self.weather.step(minute);
        let is_working_day = self.calendar.is_working_day(minute);
        let planned = self.heating.step(minute, sky, is_working_day);
        for (number, observed) in &mut self.rooms {
            let since = |from: Option<Minute>| from.is_some_and(|from| minute >= from);
            let circuit = program(&self.circuits_heated_from, circuit_of(*number), planned, minute);
            let program = if since(observed.heated_from) { circuit.without_setback() } else { circuit };
            let is_window_open = since(observed.window_open_from);
            observed.room.step(minute, RoomContext { sky, is_working_day, program, is_window_open });
        }
        if minute >= self.begin && (minute.0 - self.begin.0) % self.every == 0 {
            self.read(minute, sky, planned);
        }
    }

    fn read(&mut self, minute: Minute, sky: Sky, planned: Program) {
        for device in &mut self.devices {
            let room = match device.kind {
                Kind::Weather => None,
                _ => self.rooms.get(&device.room).map(|observed| &observed.room),
            };
            let program = program(&self.circuits_heated_from, device.room, planned, minute);
            let days = minute.days_after(self.begin);
            let values = device.read(Context { minute, days, sky, room, program });
            let (name, zone) = (device.name.clone(), device.zone.clone());
            self.rows.push_back(Row { device: name, zone, at: minute.at(), values });
        }
    }
}

impl Iterator for Month {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        while self.rows.is_empty() && self.next < self.end {
            self.step();
        }
        self.rows.pop_front()
    }
}

/// The program of a circuit.
fn program(
    heated_from: &BTreeMap<usize, Minute>,
    circuit: usize,
    planned: Program,
    minute: Minute,
) -> Program {
    let is_broken = heated_from.get(&circuit).is_some_and(|from| minute >= *from);
    if is_broken { planned.without_setback() } else { planned }
}

fn minutes(every: Duration) -> Result<i64, MonthError> {
    let seconds = i64::try_from(every.as_secs()).unwrap_or(0);
    let is_whole = every.subsec_nanos() == 0 && seconds % 60 == 0 && seconds > 0;
    is_whole.then_some(seconds / 60).ok_or(MonthError::Every { every })
}

fn devices(settings: &Settings) -> Result<Vec<Device>, MonthError> {
    let all: Vec<_> = layout::places().take(settings.devices.get()).collect();
    let wanted = |zone: &str| settings.zone.as_deref().is_none_or(|wanted| wanted == zone);
    let seen: Vec<_> = all
        .iter()
        .filter(|place| wanted(&place.zone))
        .map(|place| Device::new(place, settings.seed))
        .collect();
    match &settings.zone {
        Some(zone) if seen.is_empty() => Err(MonthError::NoSuchZone {
            zone: zone.clone(),
            zones: listed(all.iter().map(|place| place.zone.as_str())),
        }),
        _ => Ok(seen),
    }
}

/// A list of the first names, each once.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 30;
    let mut listed: Vec<&str> = names.collect();
    listed.dedup();
    let more = if listed.len() > MOST { ", …" } else { "" };
    listed.truncate(MOST);
    listed.join(", ") + more
}

#[cfg(test)]
mod tests;
