//! Turns messages of both kinds of brokers into uplinks.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::FixedState;
use gateway_core::ports::{AdapterError, Clock};
use gateway_core::{Ack, AdapterId, Delivery, MemoryPermit, Timestamp, Uplink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::addresses::Addresses;
use super::routes::{KnownTopic, Routes};

/// Uplinks passed to the pipeline at once.
pub(super) const BATCH: usize = 256;
/// How long after the stop a batch waits for the pipeline.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// The same seed at every start, so that a message repeated after a restart has the same key.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_6d71);

pub(super) fn payload_hash(payload: &[u8]) -> u64 {
    KEYS.hash_one(payload)
}

/// The key of a message: the same if it is sent again (MQTT 5, section 4.4: with its packet id). `sender`: user name and client id, if
/// there are several.
pub(super) fn delivery_key(sender: [Option<&str>; 2], packet_id: u16, topic: &str, payload_hash: u64) -> u64 {
    let mut hasher = KEYS.build_hasher();
    for name in sender.into_iter().flatten() {
        hasher.write(name.as_bytes());
        // UTF-8 never contains this byte, so no name does.
        hasher.write_u8(0xff);
    }
    hasher.write_u16(packet_id);
    hasher.write(topic.as_bytes());
    hasher.write_u64(payload_hash);
    hasher.finish()
}

/// Passes messages to the pipeline.
pub(super) struct Intake<'a> {
    pub(super) id: &'a AdapterId,
    pub(super) routes: Routes,
    pub(super) addresses: &'a Addresses,
    pub(super) clock: &'a dyn Clock,
    pub(super) uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    pub(super) stop: &'a CancellationToken,
}

impl Intake<'_> {
    /// Waits while the pipeline's queue is full. Returns false if the queue stayed full for [`DRAIN_TIMEOUT`] after the
    /// stop; the messages are then not acknowledged and stay with their senders.
    pub(super) async fn submit(&self, batch: Vec<Uplink>) -> Result<bool, AdapterError> {
        if batch.is_empty() {
            return Ok(true);
        }
        tokio::select! {
            biased;
            permit = self.uplinks.reserve() => {
                let gone = |_| AdapterError {
                    adapter: self.id.clone(),
                    reason: "the pipeline has ended".to_owned(),
                };
                permit.map_err(gone)?.send(batch);
                Ok(true)
            }
            () = self.drain_timeout() => {
                let lost = batch.iter().filter(|uplink| uplink.delivery == Delivery::AtMostOnce).count();
                warn!(
                    adapter = %self.id, left = batch.len(), lost,
                    "mqtt: stopped while the pipeline was behind: these messages were not acknowledged, so their senders send them again; \
                     those of QoS 0 are lost"
                );
                Ok(false)
            }
        }
    }

    async fn drain_timeout(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    }
}

pub(super) fn uplink(
    adapter: &AdapterId,
    known: &KnownTopic,
    received_at: Timestamp,
    payload: Bytes,
    delivery: Delivery,
    ack: Ack,
    memory: MemoryPermit,
) -> Uplink {
    Uplink {
        device: known.device.clone(),
        metric: known.metric.clone(),
        codec: known.codec,
        topic: known.topic.clone(),
        payload,
        delivery,
        memory,
        ack,
        ..Uplink::new(adapter.clone(), received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If keys changed, repeated messages would be counted twice: checkpoints contain keys of earlier versions.
    #[test]
    fn keys_are_stable_across_versions() {
        let payload = payload_hash(b"21.5");
        assert_eq!(delivery_key([None, None], 7, "sensors/lounge", payload), 12_404_106_772_668_471_543);
        assert_eq!(delivery_key([None, Some("a")], 7, "sensors/lounge", payload), 9_282_027_035_010_745_651);
        // Client ids are each user's own.
        assert_ne!(
            delivery_key([Some("u"), Some("a")], 7, "x", 1),
            delivery_key([Some("v"), Some("a")], 7, "x", 1)
        );
    }
}
