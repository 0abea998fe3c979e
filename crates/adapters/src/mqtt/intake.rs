//! From a message to an uplink, wherever the message came from.

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
use super::routes::{Known, Routes};

/// Uplinks handed over in one go, at most.
pub(super) const BATCH: usize = 256;
/// How long after the stop a batch waits for room in the pipeline.
const LAST_ROOM: Duration = Duration::from_secs(2);
/// The same at every start, so that a message is known again that was first sent before a restart.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_6d71);

pub(super) fn payload_hash(payload: &[u8]) -> u64 {
    KEYS.hash_one(payload)
}

/// The same whenever a message is sent again (MQTT 5, section 4.4: with its packet id). `client` where several send.
pub(super) fn delivery_key(client: Option<&str>, packet_id: u16, topic: &str, payload_hash: u64) -> u64 {
    let mut hasher = KEYS.build_hasher();
    if let Some(client) = client {
        hasher.write(client.as_bytes());
        // No client id holds this byte.
        hasher.write_u8(0xff);
    }
    hasher.write_u16(packet_id);
    hasher.write(topic.as_bytes());
    hasher.write_u64(payload_hash);
    hasher.finish()
}

/// The way of the messages into the pipeline.
pub(super) struct Intake<'a> {
    pub(super) id: &'a AdapterId,
    pub(super) routes: Routes,
    pub(super) addresses: &'a Addresses,
    pub(super) clock: &'a dyn Clock,
    pub(super) uplinks: &'a mpsc::Sender<Vec<Uplink>>,
    pub(super) stop: &'a CancellationToken,
}

impl Intake<'_> {
    /// Waits while the pipeline is behind. False where the stop came meanwhile, and no room soon after: the messages
    /// are then left to their senders, unacknowledged.
    pub(super) async fn hand_over(&self, batch: Vec<Uplink>) -> Result<bool, AdapterError> {
        if batch.is_empty() {
            return Ok(true);
        }
        tokio::select! {
            biased;
            room = self.uplinks.reserve() => {
                let gone = |_| AdapterError {
                    adapter: self.id.clone(),
                    reason: "the pipeline has ended".to_owned(),
                };
                room.map_err(gone)?.send(batch);
                Ok(true)
            }
            () = self.no_more_patience() => {
                let lost = batch.iter().filter(|uplink| uplink.delivery == Delivery::AtMostOnce).count();
                warn!(
                    adapter = %self.id, left = batch.len(), lost,
                    "mqtt: stopped while the pipeline was behind: these messages were left to their senders; \
                     those of QoS 0 are lost"
                );
                Ok(false)
            }
        }
    }

    async fn no_more_patience(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(LAST_ROOM).await;
    }
}

pub(super) fn uplink(
    adapter: &AdapterId,
    known: &Known,
    received_at: Timestamp,
    payload: Bytes,
    delivery: Delivery,
    ack: Ack,
    permit: MemoryPermit,
) -> Uplink {
    Uplink {
        device: known.device.clone(),
        metric: known.metric.clone(),
        codec: known.codec,
        topic: known.topic.clone(),
        payload,
        delivery,
        permit,
        ack,
        ..Uplink::new(adapter.clone(), received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that changes is a message counted twice: checkpoints hold keys of earlier versions.
    #[test]
    fn a_key_is_what_every_version_made_of_the_message() {
        let payload = payload_hash(b"21.5");
        assert_eq!(delivery_key(None, 7, "sensors/lounge", payload), 12_404_106_772_668_471_543);
        assert_eq!(delivery_key(Some("a"), 7, "sensors/lounge", payload), 9_282_027_035_010_745_651);
    }
}
