//! Passes uplinks to the pipeline, and collects their outcomes for the network server.
//!
//! The number of uplinks in flight is bounded. An uplink beyond that is counted as lost, unless its device repeats it.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};

use bytes::Bytes;
use foldhash::fast::FixedState;
use gateway_core::{AdapterId, CodecId, Delivery, DeviceAddress, DropReason, LinkQuality, Timestamp, Uplink};
use lorawan_link::{Data, DataRate, Reason, UplinkToken};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::adapter::KnownDevice;
use super::refusals::RefusalCounts;
use crate::in_flight::{self, InFlight};

/// Uplinks in flight; each has at most 242 bytes.
pub(super) const MAX_IN_FLIGHT: usize = 1_024;
/// Uplinks passed to the pipeline at once.
const BATCH: usize = 256;
/// The same seed at every start, so that an uplink repeated after a restart has the same key.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_526c_6f72);

/// The outcome of an uplink.
pub(super) type Completion = in_flight::Completion<UplinkToken>;

#[derive(Debug)]
pub(super) struct Intake {
    adapter: AdapterId,
    waiting: VecDeque<Uplink>,
    in_flight: InFlight<UplinkToken>,
    refusals: RefusalCounts,
    /// Uplinks lost since the start.
    pub(super) total_lost: u64,
    /// Payloads of devices without a codec.
    pub(super) without_codec: u64,
}

impl Intake {
    pub(super) fn new(adapter: &AdapterId) -> (Self, mpsc::Receiver<Completion>) {
        let (in_flight, completions) = InFlight::new(MAX_IN_FLIGHT);
        let intake = Self {
            adapter: adapter.clone(),
            waiting: VecDeque::new(),
            in_flight,
            refusals: RefusalCounts::default(),
            total_lost: 0,
            without_codec: 0,
        };
        (intake, completions)
    }

    /// Queues an uplink; returns false if too many are in flight.
    pub(super) fn push(&mut self, known: &KnownDevice, uplink: lorawan_link::Uplink, now: Instant) -> bool {
        if uplink.one_given_up {
            self.lose_one(now);
        }
        let Some(slot) = self.in_flight.try_acquire() else { return false };
        let delivery = Delivery::AtLeastOnce {
            key: key(&uplink),
            // The counter of a device that may reset it does not identify an uplink for ever.
            again: uplink.again || !known.resets(),
        };
        let link = link(&uplink);
        let (port, payload) = uplink.data.map(|data| (data.f_port, Bytes::from(data.payload))).unzip();
        if known.codec.is_none() && payload.is_some() {
            self.without_codec = self.without_codec.saturating_add(1);
        }
        self.waiting.push_back(Uplink {
            device: DeviceAddress::new(&uplink.device.to_string()),
            codec: known.codec.unwrap_or(CodecId::NONE),
            port,
            link,
            payload: payload.unwrap_or_default(),
            delivery,
            ack: self.in_flight.ack(uplink.token, slot),
            ..Uplink::new(self.adapter.clone(), Timestamp::from_millis(uplink.time.as_millisecond()))
        });
        true
    }

    /// Counts an uplink that was not accepted and is not repeated.
    pub(super) fn lose_one(&mut self, now: Instant) {
        self.refusals.dropped(DropReason::NoRoom, now);
        self.total_lost = self.total_lost.saturating_add(1);
    }

    /// Counts a refused frame.
    pub(super) fn refuse(&mut self, reason: Reason, now: Instant) {
        self.refusals.refused(reason, now);
    }

    /// The next uplinks for the pipeline.
    pub(super) fn batch(&mut self, now: Instant) -> Vec<Uplink> {
        let count = self.waiting.len().min(BATCH);
        let mut batch: Vec<_> = self.waiting.drain(..count).collect();
        if self.refusals.due().is_some_and(|due| due <= now) {
            batch.push(self.counted_refusals());
        }
        batch
    }

    pub(super) fn has_waiting(&self, now: Instant) -> bool {
        !self.waiting.is_empty() || self.refusals.due().is_some_and(|due| due <= now)
    }

    /// When the counts are due, if no uplink comes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.refusals.due()
    }

    /// Makes the counts due now.
    pub(super) fn flush(&mut self, now: Instant) {
        self.refusals.flush(now);
    }

    /// Whether all uplinks and counts are passed on and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.refusals.due().is_none()
    }

    /// An uplink that reports the counts to the ledger.
    fn counted_refusals(&mut self) -> Uplink {
        Uplink { refused: self.refusals.take(), ..Uplink::new(self.adapter.clone(), Timestamp::EPOCH) }
    }
}

/// The link quality at the best receiver.
fn link(uplink: &lorawan_link::Uplink) -> LinkQuality {
    let best = uplink.receivers.first();
    LinkQuality {
        rssi: best.map(|best| decimal(best.rssi)),
        snr: best.and_then(|best| best.snr).map(decimal),
        spreading_factor: best.and_then(|best| match best.data_rate {
            DataRate::Lora { spreading_factor, .. } => Some(spreading_factor),
            DataRate::Fsk { .. } => None,
        }),
        airtime: Some(uplink.airtime.as_secs_f64()),
        frames_lost: Some(uplink.frames_lost),
        battery: uplink.status.and_then(|status| status.battery.percent()),
    }
}

/// Rounds to two decimals, as the forwarder sends them: the conversion from `f32` to `f64` adds more.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

/// The key of a frame: the same if the device repeats it in the same session with the same counter and content.
fn key(uplink: &lorawan_link::Uplink) -> u64 {
    let mut hasher = KEYS.build_hasher();
    hasher.write(uplink.device.to_string().as_bytes());
    hasher.write(&uplink.address.to_le_bytes());
    hasher.write_u32(uplink.f_cnt);
    if let Some(Data { f_port, payload }) = &uplink.data {
        hasher.write_u8(*f_port);
        hasher.write(payload);
    }
    hasher.finish()
}
