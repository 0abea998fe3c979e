//! How much a server keeps, and for how long.

use std::time::Duration;

/// How much a server keeps, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions that stand. Each takes some kilobytes.
    pub sessions: usize,
    /// Sessions of one identity; one more closes its longest idle one. A device that restarts with a new port leaves
    /// its old session behind.
    pub sessions_per_identity: usize,
    /// Unfinished handshakes; one more drops the oldest.
    pub half_open: usize,
    /// Unfinished handshakes from one IPv4 address or IPv6 /64.
    pub half_open_per_source: usize,
    /// A session is closed after this silence. Sleepy sensors report once a day, and now and then a report is lost.
    pub idle: Duration,
    /// A session that was silent for this long makes room for a new peer where all are taken.
    pub evict_after: Duration,
    /// A handshake that takes longer is given up.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 2048,
            sessions_per_identity: 64,
            half_open: 512,
            half_open_per_source: 64,
            idle: Duration::from_secs(48 * 3600),
            evict_after: Duration::from_secs(3600),
            handshake: Duration::from_secs(40),
        }
    }
}
