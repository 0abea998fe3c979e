//! Which readings may raise and clear: those that are not older than the newest of their series.
//!
//! A device whose clock ran ahead, and was then put right, would be ignored until time caught up. So where the newest
//! lies beyond the present, and readings keep coming from before it, they are accepted.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// So many readings in a row behind a newest one that lies in the future: the device's clock was put right.
const CLOCK_SET_BACK: u8 = 3;

/// How a reading stands to the newest of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It counts.
    InOrder,
    /// It counts, and time begins again: this many milliseconds before the newest.
    SetBack(i64),
    /// It came too late.
    Late,
}

/// The newest time of a series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ReadingOrder {
    newest: Option<Timestamp>,
    behind: u8,
}

impl ReadingOrder {
    /// `at` is the event time, `now` the gateway's.
    pub(crate) fn admit(&mut self, at: Timestamp, now: Timestamp) -> Admission {
        let mut admission = Admission::InOrder;
        if let Some(newest) = self.newest.filter(|newest| at < *newest) {
            self.behind = self.behind.saturating_add(1);
            if newest <= now || self.behind < CLOCK_SET_BACK {
                return Admission::Late;
            }
            admission = Admission::SetBack(newest.millis_after(at));
        }
        self.behind = 0;
        self.newest = Some(at);
        admission
    }
}
