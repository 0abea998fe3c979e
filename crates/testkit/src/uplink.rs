//! A message for the pipeline.

use gateway_core::{AdapterId, CodecId, Timestamp, Uplink};

/// One with a payload for the first codec, from no device in particular; nobody waits for an answer.
#[must_use]
pub fn uplink(adapter: AdapterId, payload: &str) -> Uplink {
    Uplink {
        codec: CodecId(0),
        topic: "t".into(),
        payload: payload.to_owned().into(),
        ..Uplink::new(adapter, Timestamp::EPOCH)
    }
}
