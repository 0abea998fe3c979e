//! Refused payloads in the log: the first of each reason and adapter at once, then at most one a minute with the
//! number of those passed over, so that a broken sensor cannot fill a disk.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use gateway_core::{AdapterId, DropReason, Now, Timestamp, Uplink};

const QUIET: Duration = Duration::from_secs(60);

/// One entry per adapter and reason: both are few.
#[derive(Default)]
pub(crate) struct SampledLog {
    last: HashMap<(AdapterId, DropReason), (Timestamp, u64)>,
}

impl SampledLog {
    /// Tells of a refused message, if it is time.
    pub(crate) fn refused(&mut self, uplink: &Uplink, reason: DropReason, why: &dyn Error, now: Now) {
        let Some(passed_over) = self.due(&uplink.adapter, reason, now.at) else { return };
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

    /// How many were passed over since the last line, where it is time for one.
    fn due(&mut self, adapter: &AdapterId, reason: DropReason, now: Timestamp) -> Option<u64> {
        let key = (adapter.clone(), reason);
        match self.last.get_mut(&key) {
            // A clock that was set back must not silence the log.
            Some((at, passed_over)) if now >= *at && now.since(*at) < QUIET => {
                *passed_over += 1;
                None
            }
            Some((at, passed_over)) => {
                *at = now;
                Some(std::mem::take(passed_over))
            }
            None => {
                self.last.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

/// The payload's beginning, printable on one line.
fn excerpt(payload: &[u8]) -> String {
    let head = payload.get(..payload.len().min(80)).unwrap_or_default();
    let more = if payload.len() > head.len() { "…" } else { "" };
    format!("{}{more}", head.escape_ascii())
}
