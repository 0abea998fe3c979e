//! Refused payloads in the log: the first of each reason and adapter at once, then at most one a minute with the
//! number of those passed over, so that a broken sensor cannot fill a disk.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use gateway_core::{AdapterId, DropReason, Now, Throttle, Timestamp, Uplink};

const PERIOD: Duration = Duration::from_secs(60);

/// One entry per adapter and reason: both are few.
#[derive(Default)]
pub(crate) struct SampledLog {
    throttles: HashMap<(AdapterId, DropReason), Throttle<Timestamp>>,
}

impl SampledLog {
    /// Logs a refused message, unless a line of its adapter and reason was written within the last minute.
    pub(crate) fn refused(&mut self, uplink: &Uplink, reason: DropReason, why: &dyn Error, now: Now) {
        let key = (uplink.adapter.clone(), reason);
        let throttle = self.throttles.entry(key).or_insert_with(|| Throttle::new(PERIOD));
        let Some(passed_over) = throttle.allow(now.at) else { return };
        tracing::warn!(
            adapter = %uplink.adapter,
            topic = %uplink.topic.escape_debug(),
            reason = reason.as_str(),
            passed_over,
            payload = %excerpt(&uplink.payload),
            "message refused: {}",
            gateway_core::chain(why)
        );
    }
}

/// The payload's beginning, printable on one line.
fn excerpt(payload: &[u8]) -> String {
    let head = payload.get(..payload.len().min(80)).unwrap_or_default();
    let more = if payload.len() > head.len() { "…" } else { "" };
    format!("{}{more}", head.escape_ascii())
}
