//! One device: its sensors, and what there is for them to measure.

use std::sync::Arc;

use super::calendar::Minute;
use super::fault::Fault;
use super::layout::{Kind, Place};
use super::plant::{self, Program};
use super::room::Room;
use super::sensor::{Metric, Sensor};
use super::weather::Sky;
use crate::chance::{Chance, mix};

/// What surrounds a device at one minute. The weather station stands in no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) minute: Minute,
    /// Since the month began.
    pub(super) days: f64,
    pub(super) sky: Sky,
    pub(super) room: Option<&'a Room>,
    /// Of the heating circuit.
    pub(super) program: Program,
}

/// A device of the building.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) name: Arc<str>,
    pub(super) zone: Arc<str>,
    pub(super) kind: Kind,
    pub(super) room: usize,
    pub(super) sensors: Vec<Sensor>,
}

impl Device {
    /// The same for the same place and seed, whatever other devices there are.
    pub(super) fn new(place: &Place, seed: u64) -> Self {
        let seed = mix(mix(seed) ^ mix(place.room as u64) ^ ((place.kind as u64 + 1) << 40));
        Self {
            name: place.name.as_str().into(),
            zone: place.zone.as_str().into(),
            kind: place.kind,
            room: place.room,
            sensors: place.kind.metrics().iter().map(|metric| Sensor::new(*metric, seed)).collect(),
        }
    }

    /// The first metric that `fault` can befall, or `wanted` where it can befall that.
    pub(super) fn suiting(&self, fault: Fault, wanted: Option<Metric>) -> Option<Metric> {
        let outdoors =
            self.kind == Kind::Weather && matches!(fault, Fault::HeatingAtNight | Fault::WindowOpen);
        let metrics = self.kind.metrics().iter().copied();
        metrics
            .filter(|metric| !outdoors && wanted.is_none_or(|wanted| wanted == *metric))
            .find(|metric| fault.suits(*metric))
    }

    pub(super) fn fail(&mut self, metric: Metric, fault: Fault, from: Minute) {
        for sensor in self.sensors.iter_mut().filter(|sensor| sensor.metric == metric) {
            sensor.fail(fault, from);
        }
    }

    pub(super) fn read(&mut self, around: Surroundings<'_>) -> Vec<(Metric, f64)> {
        let read = |sensor: &mut Sensor| {
            let signal = signal(sensor.metric, around, sensor.chance(around.minute), sensor.own());
            (sensor.metric, sensor.read(around.minute, signal))
        };
        self.sensors.iter_mut().map(read).collect()
    }
}

/// What `metric` is in truth.
fn signal(metric: Metric, around: Surroundings<'_>, chance: Chance, own: Chance) -> f64 {
    let Surroundings { days, sky, room, program, .. } = around;
    match (metric, room) {
        (Metric::Temperature, Some(room)) => room.temperature(),
        // In the open air no reading is like the next.
        (Metric::Temperature, None) => sky.outdoor + 0.05 * chance.gaussian(0),
        (Metric::Humidity, Some(room)) => room.humidity,
        (Metric::Co2, Some(room)) => room.co2,
        (Metric::Battery, _) => battery(days, own),
        (Metric::Power, Some(room)) => {
            plant::power(room.standby, room.is_appliance_on, room.is_open, chance.gaussian(0))
        }
        (Metric::Illuminance, Some(room)) => {
            room.illuminance(sky.sun, chance.gaussian(0), chance.gaussian(1))
        }
        (Metric::SupplyTemperature, _) => program.supply(sky.outdoor),
        (Metric::Pressure, _) => sky.pressure,
        (Metric::Humidity | Metric::Co2 | Metric::Power | Metric::Illuminance, None) => 0.0,
    }
}

/// It loses 0.05 % a day; each device's is of another age.
fn battery(days: f64, own: Chance) -> f64 {
    95.0 - 30.0 * own.even(2) - 0.05 * days
}
