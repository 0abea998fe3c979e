//! Which devices there are, where they stand, and what goes wrong with them.

use std::num::NonZeroUsize;

use gateway_core::Timestamp;

use crate::chance::mix;
use crate::device::{Device, Kind, Message, Sample};
use crate::fault::Fault;

const ROOMS: [&str; 8] =
    ["lounge", "kitchen", "office", "meeting-room", "hall", "server-room", "workshop", "archive"];

/// Devices in the rooms of a building; the same for the same seed, whenever and in whatever order they are asked.
#[derive(Debug, Clone)]
pub struct Building {
    devices: Vec<Device>,
}

impl Building {
    /// Room sensors only, each sending temperature, humidity and CO2 as one JSON object to `sensors/{device}/telemetry`.
    #[must_use]
    pub fn new(devices: NonZeroUsize, seed: u64) -> Self {
        Self::of(devices, seed, |_| Kind::Climate)
    }

    /// Of everything something: room sensors (JSON, and bare values under `sensors/data/{device}/{metric}`), meters, and
    /// contacts and occupancy sensors under `zigbee2mqtt/{device}`.
    #[must_use]
    pub fn mixed(devices: NonZeroUsize, seed: u64) -> Self {
        let kinds = [
            Kind::Climate,
            Kind::ClimateValues,
            Kind::Meter,
            Kind::Climate,
            Kind::Contact,
            Kind::Climate,
            Kind::Occupancy,
        ];
        Self::of(devices, seed, |index| kinds.get(index % kinds.len()).copied().unwrap_or(Kind::Climate))
    }

    /// Where no cable goes: a water meter in the basement, a probe in the garden's soil, a weather station on the roof.
    #[must_use]
    pub fn around(seed: u64) -> Self {
        let devices = [
            ("water-meter", "basement", Kind::WaterMeter),
            ("soil", "garden", Kind::Soil),
            ("weather", "roof", Kind::Weather),
        ];
        let device = |(index, (name, zone, kind)): (u64, (&str, &str, Kind))| {
            Device::new(name.to_owned(), zone.to_owned(), kind, mix(seed) ^ mix(index))
        };
        Self { devices: (0..).zip(devices).map(device).collect() }
    }

    fn of(devices: NonZeroUsize, seed: u64, kind: impl Fn(usize) -> Kind) -> Self {
        let device = |index: usize| {
            let room = ROOMS.get(index % ROOMS.len()).copied().unwrap_or("hall");
            let floor = 1 + index / ROOMS.len() % 10;
            let name = format!("{room}-{:04}", index + 1);
            Device::new(name, format!("floor-{floor}/{room}"), kind(index), mix(seed) ^ mix(index as u64))
        };
        Self { devices: (0..devices.get()).map(device).collect() }
    }

    /// How many devices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether [`split_off`](Self::split_off) has taken all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Name and zone of each device, by index.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.devices.iter().map(|device| (&*device.name, &*device.zone))
    }

    /// From `from` on, `device` (an index) misbehaves; a later call replaces an earlier one. No such device: nothing
    /// happens.
    pub fn fail(&mut self, device: usize, fault: Fault, from: Timestamp) {
        if let Some(device) = self.devices.get_mut(device) {
            device.fail(fault, from);
        }
    }

    /// The devices from `at` on as a building of their own, for another protocol; they are no longer in this one.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        Self { devices: self.devices.split_off(at.min(self.devices.len())) }
    }

    /// What `device` sends at `at`; `None` where it is silent, or there is no such device.
    pub fn message(&mut self, device: usize, at: Timestamp) -> Option<Message> {
        self.devices.get_mut(device)?.message(at)
    }

    /// The same before it has a form, with the device's name.
    #[cfg_attr(
        not(any(feature = "ble", feature = "coap", feature = "lorawan")),
        expect(dead_code, reason = "over MQTT messages are sent")
    )]
    pub(crate) fn sample(&mut self, device: usize, at: Timestamp) -> Option<(&str, Sample)> {
        let device = self.devices.get_mut(device)?;
        let sample = device.sample(at)?;
        Some((&device.name, sample))
    }
}

#[cfg(test)]
#[path = "building_tests.rs"]
mod tests;
