//! The devices of a building, their zones and their faults.

use std::num::NonZeroUsize;

use gateway_core::Timestamp;

use crate::chance::mix;
use crate::device::{Device, Kind, Message, Sample};
use crate::fault::Fault;

const ROOMS: [&str; 8] =
    ["lounge", "kitchen", "office", "meeting-room", "hall", "server-room", "workshop", "archive"];

/// The devices in the rooms of a building. They depend only on the seed, not on the time and order of the calls.
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

    /// Devices of several kinds: room sensors (JSON, and bare values under `sensors/data/{device}/{metric}`), meters, and
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

    /// Devices far from cables: a water meter in the basement, a soil probe in the garden, a weather station on the roof.
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

    /// The number of devices.
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

    /// Gives `device` (an index) a fault from `from` on; a later call replaces an earlier one. Without such a device nothing
    /// happens.
    pub fn fail(&mut self, device: usize, fault: Fault, from: Timestamp) {
        if let Some(device) = self.devices.get_mut(device) {
            device.fail(fault, from);
        }
    }

    /// Moves the devices from `at` on to a new building, for another protocol.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        Self { devices: self.devices.split_off(at.min(self.devices.len())) }
    }

    /// The message of `device` at `at`; `None` if it is silent, or there is no such device.
    pub fn message(&mut self, device: usize, at: Timestamp) -> Option<Message> {
        self.devices.get_mut(device)?.message(at)
    }

    /// What `device` measures at `at`, with its name; `None` if it is silent. Booleans are 0 and 1.
    pub fn measure(&mut self, device: usize, at: Timestamp) -> Option<(&str, Vec<(&'static str, f64)>)> {
        let device = self.devices.get_mut(device)?;
        let sample = device.sample(at)?;
        let values = sample.values.into_iter().map(|(metric, value)| (metric, value.number()));
        Some((&device.name, values.collect()))
    }

    /// The sample before it is encoded, with the device's name.
    #[cfg_attr(
        not(any(feature = "ble", feature = "coap", feature = "lorawan")),
        expect(dead_code, reason = "over MQTT, messages are sent")
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
