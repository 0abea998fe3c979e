//! The way of the uplinks into the pipeline, and of its word on each back to the network.
//!
//! So many may be under way; there is no room for more. What will not come again is counted as lost.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};

use bytes::Bytes;
use foldhash::fast::FixedState;
use gateway_core::{AdapterId, CodecId, Delivery, DeviceAddress, DropReason, LinkQuality, Timestamp, Uplink};
use lorawan_link::{Data, DataRate, Reason, UplinkToken};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::adapter::KnownDevice;
use super::tally::Tally;
use crate::places::{self, Places};

/// Uplinks under way at once; each has 242 bytes at most.
pub(super) const UNDER_WAY: usize = 1_024;
/// Uplinks handed over in one go.
const BATCH: usize = 256;
/// The same at every start, so that an uplink is known again that was journaled before a restart.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_526c_6f72);

/// The pipeline's word on an uplink.
pub(super) type Told = places::Told<UplinkToken>;

#[derive(Debug)]
pub(super) struct Intake {
    adapter: AdapterId,
    waiting: VecDeque<Uplink>,
    places: Places<UplinkToken>,
    tally: Tally,
    /// Lost since the start.
    pub(super) lost_in_all: u64,
    /// Payloads that nobody can read: their devices have no codec.
    pub(super) without_codec: u64,
}

impl Intake {
    pub(super) fn new(adapter: &AdapterId) -> (Self, mpsc::Receiver<Told>) {
        let (places, told) = Places::new(UNDER_WAY);
        let intake = Self {
            adapter: adapter.clone(),
            waiting: VecDeque::new(),
            places,
            tally: Tally::default(),
            lost_in_all: 0,
            without_codec: 0,
        };
        (intake, told)
    }

    /// Puts an uplink behind the others; says whether there was room.
    pub(super) fn take(&mut self, known: &KnownDevice, uplink: lorawan_link::Uplink, now: Instant) -> bool {
        if uplink.one_given_up {
            self.lose_one(now);
        }
        let Some(place) = self.places.take() else { return false };
        let delivery = Delivery::AtLeastOnce {
            key: key(&uplink),
            // A counter that may start again names nothing for good.
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
            ack: self.places.ack(uplink.token, place),
            ..Uplink::new(self.adapter.clone(), Timestamp::from_millis(uplink.time.as_millisecond()))
        });
        true
    }

    /// An uplink was not taken and will not come again.
    pub(super) fn lose_one(&mut self, now: Instant) {
        self.tally.dropped(DropReason::NoRoom, now);
        self.lost_in_all = self.lost_in_all.saturating_add(1);
    }

    /// A frame was refused.
    pub(super) fn refuse(&mut self, reason: Reason, now: Instant) {
        self.tally.refused(reason, now);
    }

    /// The next uplinks to hand over.
    pub(super) fn batch(&mut self, now: Instant) -> Vec<Uplink> {
        let count = self.waiting.len().min(BATCH);
        let mut batch: Vec<_> = self.waiting.drain(..count).collect();
        if self.tally.due().is_some_and(|due| due <= now) {
            batch.push(self.refusals());
        }
        batch
    }

    pub(super) fn has_waiting(&self, now: Instant) -> bool {
        !self.waiting.is_empty() || self.tally.due().is_some_and(|due| due <= now)
    }

    /// When there is something to hand over, if nothing else comes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.tally.due()
    }

    /// Nothing more comes: what was counted is handed over now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.tally.hurry(now);
    }

    /// Whether everything was handed over and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.places.are_all_free() && self.tally.due().is_none()
    }

    /// An uplink that tells the ledger what was counted.
    fn refusals(&mut self) -> Uplink {
        Uplink { refused: self.tally.take(), ..Uplink::new(self.adapter.clone(), Timestamp::EPOCH) }
    }
}

/// What the radio says of it: the best receiver's view.
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

/// As the forwarder wrote it: it sends at most two decimals, which an `f32` has and an `f64` made of it blurs.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

/// The same when the frame comes again: from the device's session, under the same counter, with the same content.
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
