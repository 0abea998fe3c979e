//! The way of what is heard into the pipeline: what becomes of each advertisement, and what waits.
//!
//! Nobody is acknowledged, so nobody sends again: what finds no room is dropped, and counted with the next that does.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use ble_link::ScanResult;
use bytes::Bytes;
use codecs::ble::advertisement::{Advertisement, AdvertisementProblem, Builder, Uuid};
use codecs::ble::{Kind, PRESENCE, identity};
use foldhash::fast::FixedState;
use gateway_core::{AdapterId, CodecId, DeviceAddress, LinkQuality, Timestamp, Uplink};
use tokio::time::Instant;

use super::air::Air;
use super::connections::Value;

/// Messages that wait for the pipeline.
const WAITING: usize = 8_192;
/// Messages handed over in one go.
const BATCH: usize = 256;
const HASH: FixedState = FixedState::with_seed(0x5249_5345_5262_6c65);

/// Who is heard, and what reads it.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Which adapter this is.
    pub adapter: AdapterId,
    /// What reads advertisements.
    pub codec: CodecId,
    /// The addresses of all `[devices.*]`, in their canonical form.
    pub known: Arc<BTreeSet<String>>,
    /// Whether only those are heard.
    pub only_known: bool,
    /// Whether no other adapter listens to the same air.
    pub alone: bool,
    /// After how long a beacon has left.
    pub left_after: Duration,
    /// The building's air.
    pub air: Air,
}

/// What has become of advertisements since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Handed over.
    pub(super) taken: u64,
    /// Values of connected devices.
    pub(super) values: u64,
    /// Of no format that is known: phones, headphones …
    pub(super) unknown_format: u64,
    /// Of devices that the configuration does not name.
    pub(super) unknown_device: u64,
    /// ScanResult through another adapter already.
    pub(super) elsewhere: u64,
    /// Longer than any advertisement.
    pub(super) oversized: u64,
    /// Without room in the pipeline.
    pub(super) lost: u64,
}

#[derive(Debug)]
pub(super) struct Intake {
    listener: Listener,
    waiting: VecDeque<Uplink>,
    lost: u32,
    pub(super) counts: Counts,
}

impl Intake {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, waiting: VecDeque::new(), lost: 0, counts: Counts::default() }
    }

    /// Takes an advertisement, if it is for us.
    pub(super) fn hear(&mut self, heard: &ScanResult, received_at: Timestamp, now: Instant) {
        let Ok(payload) = payload(heard) else {
            self.counts.oversized = self.counts.oversized.saturating_add(1);
            return;
        };
        let Ok(advertisement) = Advertisement::parse(&payload) else { return };
        if Kind::of(&advertisement).is_none() {
            self.counts.unknown_format = self.counts.unknown_format.saturating_add(1);
            return;
        }
        let known = &self.listener.known;
        let beacon = identity(&advertisement);
        let is_beacon = beacon.is_some();
        // One that is configured by its address keeps that.
        let name = beacon.filter(|_| !known.contains(&*heard.address));
        let device: Arc<str> = name.map_or_else(|| Arc::clone(&heard.address), Arc::from);
        if self.listener.only_known && !known.contains(&*DeviceAddress::canonical(&device)) {
            self.counts.unknown_device = self.counts.unknown_device.saturating_add(1);
            return;
        }
        if is_beacon {
            self.listener.air.is_here(&device, now);
        }
        if !self.listener.alone && !self.is_first(&device, heard, now) {
            self.counts.elsewhere = self.counts.elsewhere.saturating_add(1);
            return;
        }
        let link = LinkQuality { rssi: heard.rssi.map(f64::from), ..LinkQuality::default() };
        let uplink = self.uplink(&device, payload.into(), received_at);
        self.push(Uplink { link, ..uplink });
    }

    /// Takes a value of a connected device.
    pub(super) fn take(&mut self, value: Value, received_at: Timestamp) {
        let Value { device, characteristic, codec, value } = value;
        self.counts.values = self.counts.values.saturating_add(1);
        let uplink = self.uplink(&device, value, received_at);
        self.push(Uplink { codec, codec_is_fixed: true, topic: characteristic, ..uplink });
    }

    /// Tells of the beacons that have left.
    pub(super) fn look_for_the_missing(&mut self, received_at: Timestamp, now: Instant) {
        for beacon in self.listener.air.left(self.listener.left_after, now) {
            let uplink = self.uplink(&beacon, Bytes::new(), received_at);
            self.push(Uplink { metric: Some(PRESENCE.into()), ..uplink });
        }
    }

    /// So many were lost before they came here.
    pub(super) fn lose(&mut self, count: u64) {
        self.counts.lost = self.counts.lost.saturating_add(count);
        self.lost = self.lost.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Puts a message behind the others, if there is room.
    pub(super) fn push(&mut self, mut uplink: Uplink) {
        if self.waiting.len() >= WAITING {
            self.lose(1);
            return;
        }
        self.counts.taken = self.counts.taken.saturating_add(1);
        uplink.lost_before = std::mem::take(&mut self.lost);
        self.waiting.push_back(uplink);
    }

    /// A message of a device, as advertisements are; whoever has another kind of message changes it.
    pub(super) fn uplink(&self, device: &str, payload: Bytes, received_at: Timestamp) -> Uplink {
        Uplink {
            device: DeviceAddress::new(device),
            codec: self.listener.codec,
            payload,
            ..Uplink::new(self.listener.adapter.clone(), received_at)
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next messages to hand over.
    pub(super) fn batch(&mut self) -> Vec<Uplink> {
        let count = self.waiting.len().min(BATCH);
        self.waiting.drain(..count).collect()
    }

    fn is_first(&self, device: &Arc<str>, heard: &ScanResult, now: Instant) -> bool {
        let Listener { air, adapter, .. } = &self.listener;
        air.is_first(device, hash(heard), adapter, now)
    }
}

/// The advertisement as it is on the air.
///
/// # Errors
/// Where it is longer than any advertisement.
pub fn payload(heard: &ScanResult) -> Result<Vec<u8>, AdvertisementProblem> {
    let mut builder = Builder::new();
    if let Some(name) = &heard.name {
        builder.name(name)?;
    }
    for uuid in heard.services.iter() {
        builder.uuid(Uuid(*uuid))?;
    }
    for (uuid, data) in &heard.service_data {
        builder.service_data(Uuid(*uuid), data)?;
    }
    for (company, data) in &heard.manufacturer_data {
        builder.manufacturer_data(*company, data)?;
    }
    Ok(builder.build())
}

/// Of what the device itself says: names and services come from bluetoothd's memory, of which each adapter has its own.
fn hash(heard: &ScanResult) -> u64 {
    let mut hasher = HASH.build_hasher();
    for (uuid, data) in &heard.service_data {
        hasher.write_u128(*uuid);
        hasher.write(data);
    }
    for (company, data) in &heard.manufacturer_data {
        hasher.write_u16(*company);
        hasher.write(data);
    }
    hasher.finish()
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
