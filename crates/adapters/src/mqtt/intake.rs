//! From a message to an uplink, wherever the message came from.

use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::FixedState;
use gateway_core::ports::{AdapterError, Clock};
use gateway_core::{Ack, AdapterId, Delivery, LinkQuality, Timestamp, Uplink};
use tokio::sync::mpsc;

use super::routes::{Known, Routes};

/// Uplinks handed over in one go, at most.
pub(super) const BATCH: usize = 256;
/// The same at every start, so that a message is known again that was first sent before a restart.
pub(super) const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_6d71);

pub(super) fn payload_hash(payload: &[u8]) -> u64 {
    KEYS.hash_one(payload)
}

/// The way of the messages into the pipeline.
pub(super) struct Intake<'a> {
    pub(super) id: &'a AdapterId,
    pub(super) routes: Routes,
    pub(super) clock: &'a dyn Clock,
    pub(super) uplinks: &'a mpsc::Sender<Vec<Uplink>>,
}

impl Intake<'_> {
    /// Waits while the pipeline is behind.
    pub(super) async fn hand_over(&self, batch: Vec<Uplink>) -> Result<(), AdapterError> {
        if batch.is_empty() {
            return Ok(());
        }
        let gone = |_| AdapterError { adapter: self.id.clone(), reason: "the pipeline has ended".to_owned() };
        self.uplinks.send(batch).await.map_err(gone)
    }
}

pub(super) fn uplink(
    adapter: &AdapterId,
    known: &Known,
    received_at: Timestamp,
    payload: Bytes,
    delivery: Delivery,
    ack: Ack,
) -> Uplink {
    Uplink {
        adapter: adapter.clone(),
        device: known.device.clone(),
        metric: known.metric.clone(),
        codec: known.codec,
        topic: known.topic.clone(),
        received_at,
        port: None,
        link: LinkQuality::default(),
        payload,
        delivery,
        ack,
    }
}
