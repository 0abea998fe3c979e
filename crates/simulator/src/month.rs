//! Weeks of a building at once: rooms with people, weather, heating, sensors that are a little off, and faults.
//!
//! Sans-IO and without a clock: [`Month`] gives reading after reading, in the order of time, as fast as it is asked.
//! It is computed from minute to minute and looked at every so often: the same seed and beginning are the same month,
//! whichever devices are looked at, how often, and whatever goes wrong with others. `docs/anomaly.md` says what it is for.

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
use device::{Device, Surroundings};
use layout::{Kind, circuit_of};
use plant::{Heating, Program};
use room::{Around, Room};
use weather::{Sky, Weather};

/// Before its first reading a building has been lived in for so many minutes.
const LIVED_IN: i64 = 3 * 1440;
/// How many devices there are by default: 50 series.
pub const DEVICES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(24);

/// Which month of which building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Another building for another seed.
    pub seed: u64,
    /// The first reading; seconds are cut. Local time is UTC.
    pub from: Timestamp,
    /// How many days.
    pub days: NonZeroU32,
    /// From one reading of a device to the next: whole minutes.
    pub every: Duration,
    /// How many devices the building has.
    pub devices: NonZeroUsize,
    /// Only look at the devices of this zone; they show the same as ever.
    pub zone: Option<String>,
    /// What goes wrong.
    pub faults: Vec<Planned>,
}

/// Settings that no month can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonthError {
    /// Readings that are not whole minutes apart.
    #[error("readings every {every:?} cannot be simulated; give whole minutes, from 1m on")]
    Every {
        /// What was asked.
        every: Duration,
    },
    /// No device is in the zone.
    #[error("no device is in zone `{zone}`; there are {zones}")]
    NoSuchZone {
        /// What was asked.
        zone: String,
        /// Those that there are.
        zones: String,
    },
    /// No device to go wrong has the name.
    #[error("there is no device `{device}` to go wrong; there are {devices}")]
    NoSuchDevice {
        /// What was asked.
        device: String,
        /// Those that there are.
        devices: String,
    },
    /// It would begin when the month is over.
    #[error("{fault} is to begin at {from}, which is not before the end at {end}")]
    TooLate {
        /// What was asked.
        fault: Fault,
        /// When it would begin.
        from: Timestamp,
        /// The end.
        end: Timestamp,
    },
    /// It cannot happen to that device, or to none.
    #[error("{fault} cannot befall {place}")]
    DoesNotSuit {
        /// What was asked.
        fault: Fault,
        /// The device, with the metric where one was asked for.
        place: String,
    },
}

/// What one device measured at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub device: Arc<str>,
    /// Where it is.
    pub zone: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// What, each metric once.
    pub values: Vec<(Metric, f64)>,
}

/// A fault that takes place, with its device and metric settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What.
    pub fault: Fault,
    /// With which device.
    pub device: Arc<str>,
    /// With which of its metrics.
    pub metric: Metric,
    /// From when on.
    pub from: Timestamp,
}

/// A room that somebody looks at, and what goes wrong in it.
#[derive(Debug, Clone)]
struct Lived {
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
    /// By number; only those that a device looks at.
    rooms: BTreeMap<usize, Lived>,
    /// Heating circuits whose schedule is broken, and since when.
    circuits_heated_from: BTreeMap<usize, Minute>,
    devices: Vec<Device>,
    happenings: Vec<Happening>,
    begin: Minute,
    end: Minute,
    every: i64,
    /// The next minute to live through.
    next: Minute,
    /// What was measured and not yet taken.
    rows: VecDeque<Row>,
}

impl Month {
    /// # Errors
    /// Where `every` is no whole minutes, or a zone or a fault's place is not there.
    pub fn new(settings: &Settings) -> Result<Self, MonthError> {
        let every = minutes(settings.every)?;
        let devices = devices(settings)?;
        let begin = Minute::of(settings.from);
        let next = Minute(begin.0 - LIVED_IN);
        let numbers = devices.iter().filter(|device| device.kind != Kind::Weather).map(|device| device.room);
        let live = |number: usize| {
            let room = Room::new(settings.seed, number as u64);
            (number, Lived { room, window_open_from: None, heated_from: None })
        };
        let mut month = Self {
            calendar: Calendar::new(settings.seed, begin),
            weather: Weather::new(settings.seed, next),
            heating: Heating::default(),
            rooms: numbers.map(live).collect(),
            circuits_heated_from: BTreeMap::new(),
            devices,
            happenings: Vec::new(),
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

    /// What goes wrong, where and from when on, in the order of the settings.
    #[must_use]
    pub fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    fn plan(&mut self, planned: &Planned) -> Result<(), MonthError> {
        let Planned { fault, .. } = *planned;
        let (index, metric) = self.befallen(planned)?;
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
                if let Some(lived) = self.rooms.get_mut(&device.room) {
                    lived.heated_from = Some(from);
                }
            }
            Fault::WindowOpen => {
                if let Some(lived) = self.rooms.get_mut(&device.room) {
                    lived.window_open_from = Some(from);
                }
            }
            _ => device.fail(metric, fault, from),
        }
        self.happenings.push(Happening { fault, device: device.name.clone(), metric, from: from.at() });
        Ok(())
    }

    /// The device, by index, and its metric.
    fn befallen(&self, planned: &Planned) -> Result<(usize, Metric), MonthError> {
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

    /// Lives through one minute, and reads the sensors where it is time.
    fn step(&mut self) {
        let minute = self.next;
        self.next = Minute(minute.0 + 1);
        let sky = self.weather.step(minute);
        let is_working_day = self.calendar.is_working_day(minute);
        let planned = self.heating.step(minute, sky, is_working_day);
        for (number, lived) in &mut self.rooms {
            let since = |from: Option<Minute>| from.is_some_and(|from| minute >= from);
            let circuit = program(&self.circuits_heated_from, circuit_of(*number), planned, minute);
            let program = if since(lived.heated_from) { circuit.without_setback() } else { circuit };
            let is_window_open = since(lived.window_open_from);
            lived.room.step(minute, Around { sky, is_working_day, program, is_window_open });
        }
        if minute >= self.begin && (minute.0 - self.begin.0) % self.every == 0 {
            self.read(minute, sky, planned);
        }
    }

    fn read(&mut self, minute: Minute, sky: Sky, planned: Program) {
        for device in &mut self.devices {
            let room = match device.kind {
                Kind::Weather => None,
                _ => self.rooms.get(&device.room).map(|lived| &lived.room),
            };
            let program = program(&self.circuits_heated_from, device.room, planned, minute);
            let days = minute.days_after(self.begin);
            let values = device.read(Surroundings { minute, days, sky, room, program });
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

/// What a circuit does.
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

/// The first of them, each once.
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
