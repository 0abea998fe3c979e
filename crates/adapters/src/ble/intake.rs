//! Turns advertisements into messages for the pipeline, and queues them.
//!
//! Advertisements are not acknowledged, so they cannot be sent again: what does not fit into the queue is dropped, and
//! counted with the next message that fits.

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

use super::connections::Value;
use super::reception::ReceptionMap;

/// Messages queued for the pipeline.
const MAX_PENDING: usize = 8_192;
/// Messages passed to the pipeline at once.
const BATCH: usize = 256;
const HASH: FixedState = FixedState::with_seed(0x5249_5345_5262_6c65);

/// Whose advertisements are taken, and what decodes them.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    pub adapter: AdapterId,
    pub codec: CodecId,
    /// The addresses of all `[devices.*]`, in their canonical form.
    pub known: Arc<BTreeSet<String>>,
    /// Whether only those devices are taken.
    pub only_known: bool,
    /// Whether this is the only adapter that scans.
    pub alone: bool,
    /// A beacon that is not received for this long has left.
    pub left_after: Duration,
    /// Shared by all adapters.
    pub receptions: ReceptionMap,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Passed to the pipeline.
    pub(super) taken: u64,
    /// Values of connected devices.
    pub(super) values: u64,
    /// Of an unknown format: phones, headphones …
    pub(super) unknown_format: u64,
    /// Of devices that the configuration does not name.
    pub(super) unknown_device: u64,
    /// Received by another adapter first.
    pub(super) elsewhere: u64,
    /// Longer than any advertisement.
    pub(super) oversized: u64,
    /// Dropped because the queue was full.
    pub(super) lost: u64,
}

#[derive(Debug)]
pub(super) struct Intake {
    options: IntakeOptions,
    pending: VecDeque<Uplink>,
    lost: u32,
    pub(super) counts: Counts,
}

impl Intake {
    pub(super) fn new(options: IntakeOptions) -> Self {
        Self { options, pending: VecDeque::new(), lost: 0, counts: Counts::default() }
    }

    /// Takes an advertisement, if its format and its device are wanted.
    pub(super) fn receive(&mut self, result: &ScanResult, received_at: Timestamp, now: Instant) {
        let Ok(payload) = payload(result) else {
            self.counts.oversized = self.counts.oversized.saturating_add(1);
            return;
        };
        let Ok(advertisement) = Advertisement::parse(&payload) else { return };
        if Kind::of(&advertisement).is_none() {
            self.counts.unknown_format = self.counts.unknown_format.saturating_add(1);
            return;
        }
        let known = &self.options.known;
        let beacon = identity(&advertisement);
        let is_beacon = beacon.is_some();
        // A beacon that is configured by its address keeps that.
        let name = beacon.filter(|_| !known.contains(&*result.address));
        let device: Arc<str> = name.map_or_else(|| Arc::clone(&result.address), Arc::from);
        if self.options.only_known && !known.contains(&*DeviceAddress::canonical(&device)) {
            self.counts.unknown_device = self.counts.unknown_device.saturating_add(1);
            return;
        }
        if is_beacon {
            self.options.receptions.beacon_received(&device, now);
        }
        if !self.options.alone && !self.is_first(&device, result, now) {
            self.counts.elsewhere = self.counts.elsewhere.saturating_add(1);
            return;
        }
        let link = LinkQuality { rssi: result.rssi.map(f64::from), ..LinkQuality::default() };
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

    /// Reports the beacons that have left.
    pub(super) fn report_absent_beacons(&mut self, received_at: Timestamp, now: Instant) {
        for beacon in self.options.receptions.take_absent(self.options.left_after, now) {
            let uplink = self.uplink(&beacon, Bytes::new(), received_at);
            self.push(Uplink { metric: Some(PRESENCE.into()), ..uplink });
        }
    }

    /// This many were lost before they came here.
    pub(super) fn count_lost(&mut self, count: u64) {
        self.counts.lost = self.counts.lost.saturating_add(count);
        self.lost = self.lost.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Queues a message, if it fits.
    pub(super) fn push(&mut self, mut uplink: Uplink) {
        if self.pending.len() >= MAX_PENDING {
            self.count_lost(1);
            return;
        }
        self.counts.taken = self.counts.taken.saturating_add(1);
        uplink.lost_before = std::mem::take(&mut self.lost);
        self.pending.push_back(uplink);
    }

    /// A message of a device, as for an advertisement.
    pub(super) fn uplink(&self, device: &str, payload: Bytes, received_at: Timestamp) -> Uplink {
        Uplink {
            device: DeviceAddress::new(device),
            codec: self.options.codec,
            payload,
            ..Uplink::new(self.options.adapter.clone(), received_at)
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next messages for the pipeline.
    pub(super) fn batch(&mut self) -> Vec<Uplink> {
        let count = self.pending.len().min(BATCH);
        self.pending.drain(..count).collect()
    }

    fn is_first(&self, device: &Arc<str>, result: &ScanResult, now: Instant) -> bool {
        let IntakeOptions { receptions, adapter, .. } = &self.options;
        receptions.is_first(device, hash(result), adapter, now)
    }
}

/// The advertisement as the device sent it.
///
/// # Errors
/// If it is longer than any advertisement.
pub fn payload(result: &ScanResult) -> Result<Vec<u8>, AdvertisementProblem> {
    let mut builder = Builder::new();
    if let Some(name) = &result.name {
        builder.name(name)?;
    }
    for uuid in result.services.iter() {
        builder.uuid(Uuid(*uuid))?;
    }
    for (uuid, data) in &result.service_data {
        builder.service_data(Uuid(*uuid), data)?;
    }
    for (company, data) in &result.manufacturer_data {
        builder.manufacturer_data(*company, data)?;
    }
    Ok(builder.build())
}

/// Of the data alone: bluetoothd remembers names and services for each adapter separately.
fn hash(result: &ScanResult) -> u64 {
    let mut hasher = HASH.build_hasher();
    for (uuid, data) in &result.service_data {
        hasher.write_u128(*uuid);
        hasher.write(data);
    }
    for (company, data) in &result.manufacturer_data {
        hasher.write_u16(*company);
        hasher.write(data);
    }
    hasher.finish()
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
