//! An uplink for the pipeline.

use gateway_core::{AdapterId, CodecId, Timestamp, Uplink};

/// An uplink with a payload for the first codec, without a device; no sender waits for an answer.
#[must_use]
pub fn uplink(adapter: AdapterId, payload: &str) -> Uplink {
    Uplink {
        codec: CodecId(0),
        topic: "t".into(),
        payload: payload.to_owned().into(),
        ..Uplink::new(adapter, Timestamp::EPOCH)
    }
}
