//! One device: its sensors, and the true values of their metrics.

use std::sync::Arc;

use super::calendar::Minute;
use super::fault::Fault;
use super::layout::{Kind, Place};
use super::plant::{self, Program};
use super::room::Room;
use super::sensor::{Metric, Sensor};
use super::weather::Sky;
use crate::chance::{Chance, mix};

/// The surroundings of a device at one minute. The weather station is in no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) minute: Minute,
    /// Days since the start of the month.
    pub(super) days: f64,
    pub(super) sky: Sky,
    pub(super) room: Option<&'a Room>,
    /// The program of the heating circuit.
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
    /// Depends only on the place and the seed.
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

    /// The first metric that `fault` can happen to, or `wanted` if it can happen to that.
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

    pub(super) fn read(&mut self, context: Context<'_>) -> Vec<(Metric, f64)> {
        let read = |sensor: &mut Sensor| {
            let signal = signal(sensor.metric, context, sensor.chance(context.minute), sensor.own());
            (sensor.metric, sensor.read(context.minute, signal))
        };
        self.sensors.iter_mut().map(read).collect()
    }
}

/// The true value of `metric`.
fn signal(metric: Metric, context: Context<'_>, chance: Chance, own: Chance) -> f64 {
    let Context { days, sky, room, program, .. } = context;
    match (metric, room) {
        (Metric::Temperature, Some(room)) => room.temperature(),
        // Outdoors every reading differs.
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

/// The battery level: it loses 0.05 % a day; each device's battery has another age.
fn battery(days: f64, own: Chance) -> f64 {
    95.0 - 30.0 * own.even(2) - 0.05 * days
}
