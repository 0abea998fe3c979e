//! `ble`: advertisements of Bluetooth Low Energy sensors, a file per format.
//!
//! [`Ble`] is the decoder of one gateway: it detects the format by the advertisement's data (the list in [`kinds`]), decrypts
//! with the device's [`BindKey`], and keeps the counters of a bounded number of devices to detect replayed advertisements.
//! docs/ble.md lists formats and devices.
//!
//! Metrics have zigbee2mqtt's names and SenML's units, as everywhere; two-valued ones are 0 and 1. An event, such as the
//! press of a button, is `action.single` = 1.

pub mod advertisement;
mod aranet;
mod bluemaestro;
mod bthome;
mod bytes;
mod eddystone;
mod govee;
mod hhcc;
mod ibeacon;
mod inkbird;
mod jaalee;
mod keys;
mod kinds;
mod memory;
mod mi_scale;
mod mibeacon;
mod mikrotik;
mod mopeka;
mod oral_b;
mod patterns;
mod problem;
mod pvvx;
mod qingping;
mod readings;
mod ruuvi;
mod sensirion;
mod sensorpro;
mod sensorpush;
mod shelly_blu;
mod switchbot;
mod teltonika;
mod thermobeacon;
mod thermopro;

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::Timestamp;
use serde_json::{Map, Value};

pub use advertisement::{Advertisement, AdvertisementProblem, Uuid};
pub use bytes::Bytes;
pub use keys::{Address, BindKey, Keys, NotABindKey, NotAnAddress};
pub use kinds::{Kind, identity};
pub use memory::MAX_BEACONS;
pub use patterns::patterns;
pub use problem::BleProblem;

use memory::{Memory, Novelty};
use readings::Readings;

use crate::words::from_bool;
use crate::{DecodeError, Input, Measurements};

/// The metric that is 1 while a beacon is received. An empty payload for it means that the beacon has left.
pub const PRESENCE: &str = "presence";

/// The decoder of advertisements: keys, and a bounded memory of devices.
#[derive(Debug, Clone)]
pub struct Ble {
    keys: Keys,
    /// `None`: each advertisement is independent.
    memory: Option<Arc<Mutex<Memory>>>,
    /// Decodes only this format of the advertisement.
    only: Option<Kind>,
}

impl Ble {
    /// With the keys of the devices that encrypt.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { keys, memory: Some(Arc::default()), only: None }
    }

    /// [`Self::new`] without a memory: each advertisement is independent of earlier ones. No advertisement is a replay, and
    /// of several entries of a manufacturer the last one counts as the newest.
    #[must_use]
    pub fn alone(keys: Keys) -> Self {
        Self { keys, memory: None, only: None }
    }

    /// The same with other keys; the memory of devices is shared.
    #[must_use]
    pub fn with_keys(&self, keys: Keys) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The same for devices of one format; the memory of devices is shared.
    #[must_use]
    pub fn only(&self, kind: Kind) -> Self {
        Self { only: Some(kind), ..self.clone() }
    }

    pub(crate) fn decode(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        self.read(input, out, None)
    }

    /// [`Self::decode`] with more information for people: the format, the model, states in words, the measurements
    /// by name.
    pub(crate) fn explain(
        &self,
        input: &Input<'_>,
        out: &mut Measurements,
    ) -> (Map<String, Value>, Result<(), DecodeError>) {
        let mut notes = Map::new();
        let read = self.read(input, out, Some(&mut notes));
        if read.is_ok() {
            for measured in out.iter() {
                let value =
                    if measured.boolean { (measured.value != 0.0).into() } else { measured.value.into() };
                notes.entry(measured.metric).or_insert(value);
            }
        }
        (notes, read)
    }

    fn read(
        &self,
        input: &Input<'_>,
        out: &mut Measurements,
        mut notes: Option<&mut Map<String, Value>>,
    ) -> Result<(), DecodeError> {
        let refused = |format, problem| DecodeError::Ble { format, problem };
        let advertisement =
            Advertisement::parse(input.payload).map_err(|problem| refused("ble", problem.into()))?;
        if input.payload.is_empty() && input.metric == Some(PRESENCE) {
            out.begin_record();
            return out.push(PRESENCE, from_bool(false));
        }
        let kind = self.only.or_else(|| Kind::of(&advertisement));
        let kind = kind.ok_or(refused("ble", BleProblem::Unknown))?;
        if let Some(notes) = notes.as_deref_mut() {
            notes.insert("format".to_owned(), kind.name().into());
        }
        out.begin_record();
        let address = input.device.and_then(|device| device.parse().ok());
        let packet = Packet { advertisement, address, at: input.received_at, ble: self };
        let mut readings = Readings::new(out, notes);
        kind.decode(&packet, &mut readings).map_err(|problem| refused(kind.name(), problem))?;
        readings.finish()
    }
}

/// An advertisement with the information about its sender.
struct Packet<'a> {
    advertisement: Advertisement<'a>,
    address: Option<Address>,
    at: Timestamp,
    ble: &'a Ble,
}

impl Packet<'_> {
    fn address(&self) -> Result<Address, BleProblem> {
        self.address.ok_or(BleProblem::NoAddress)
    }

    fn key(&self) -> Result<&BindKey, BleProblem> {
        self.ble.keys.of(self.address()?).ok_or(BleProblem::NoKey)
    }

    /// For formats that can encrypt: a plain advertisement of a device with a key is refused.
    fn refuse_plain(&self) -> Result<(), BleProblem> {
        match self.address.and_then(|address| self.ble.keys.of(address)) {
            Some(_) => Err(BleProblem::NotEncrypted),
            None => Ok(()),
        }
    }

    /// Takes a counter that may only grow. Call it only for an authenticated packet: a forged one would lock the device out.
    fn counter(&self, address: Address, now: u64) -> Result<Novelty, BleProblem> {
        self.memory(|memory| memory.counter(address, now, self.at)).unwrap_or(Ok(Novelty::New))
    }

    /// Takes a packet's number. Without an address every packet counts as new.
    fn number(&self, now: u8) -> Novelty {
        let novelty = |address| self.memory(|memory| memory.packet(address, now, self.at));
        self.address.and_then(novelty).unwrap_or(Novelty::New)
    }

    /// The newest accumulated manufacturer data that `is_ours` accepts.
    fn newest(&self, is_ours: impl Fn(u16) -> bool + Copy) -> Option<(u16, Bytes<'_>)> {
        let ours = self.advertisement.manufacturer_data().filter(move |(id, _)| is_ours(*id));
        let last = ours.clone().last()?;
        let is_alone = ours.clone().nth(1).is_none();
        let changed = |address| self.memory(|memory| memory.newest(address, ours));
        match self.address.and_then(changed) {
            // The stack does not accumulate data, so the data is new.
            Some(newest) if !is_alone => newest,
            _ => Some(last),
        }
    }

    /// A panic elsewhere cannot leave a half-written entry, so a poisoned lock is usable.
    fn memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        let memory = self.ble.memory.as_ref()?;
        Some(work(&mut memory.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The two bytes of the company id, where they are part of the values, and the data.
fn joined(company: u16, data: Bytes<'_>) -> Vec<u8> {
    let mut whole = Vec::with_capacity(2 + data.len());
    whole.extend(company.to_le_bytes());
    whole.extend(data.0);
    whole
}
