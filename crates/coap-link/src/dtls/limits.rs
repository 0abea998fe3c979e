//! The limits of a DTLS server in number and time.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Established sessions. Each takes some kilobytes.
    pub sessions: usize,
    /// Sessions of one identity. One more closes the longest idle one: a device that restarts with a new port leaves its old
    /// session behind.
    pub sessions_per_identity: usize,
    /// Unfinished handshakes. One more drops the oldest.
    pub half_open: usize,
    /// Unfinished handshakes of one IPv4 address or IPv6 /64.
    pub half_open_per_source: usize,
    /// A session is closed after this silence. Sleepy sensors report once a day, and a report may be lost.
    pub idle: Duration,
    /// After this silence a session may be closed to admit a new peer.
    pub evict_after: Duration,
    /// The time limit of a handshake.
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
