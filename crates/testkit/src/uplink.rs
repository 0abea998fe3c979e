//! A message for the pipeline.

use gateway_core::{Ack, AdapterId, CodecId, Delivery, LinkQuality, Room, Timestamp, Uplink};

/// One with a payload for the first codec, from no device in particular; nobody waits for an answer.
#[must_use]
pub fn uplink(adapter: AdapterId, payload: &str) -> Uplink {
    Uplink {
        adapter,
        device: None,
        metric: None,
        codec: CodecId(0),
        topic: "t".into(),
        received_at: Timestamp::EPOCH,
        port: None,
        link: LinkQuality::default(),
        payload: payload.to_owned().into(),
        delivery: Delivery::AtMostOnce,
        lost_before: 0,
        refused: Vec::new(),
        room: Room::unbounded(),
        ack: Ack::none(),
    }
}
