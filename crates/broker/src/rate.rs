//! How often one peer may connect: a bucket of tokens for each address, so that one that connects again and again leaves
//! time for the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use gateway_core::network;
use tokio::time::Instant;

/// Peers that are remembered. When there are more, those that are full again are forgotten, then all.
const MOST_PEERS: usize = 4096;

#[derive(Debug)]
pub(crate) struct ConnectRate {
    /// Connections per second, and at once.
    most: f64,
    peers: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl ConnectRate {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { most: f64::from(per_second), peers: Mutex::default() }
    }

    /// Whether a peer may connect now. Programs on this machine always may.
    pub(crate) fn allow(&self, peer: IpAddr, now: Instant) -> bool {
        if peer.to_canonical().is_loopback() {
            return true;
        }
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MOST_PEERS {
            peers.retain(|_, bucket| self.refilled(*bucket, now) < self.most);
            if peers.len() >= MOST_PEERS {
                peers.clear();
            }
        }
        let bucket = peers.entry(network(peer)).or_insert(Bucket { tokens: self.most, at: now });
        bucket.tokens = self.refilled(*bucket, now);
        bucket.at = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        elapsed.mul_add(self.most, bucket.tokens).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_connects_too_often_waits_and_the_others_do_not() {
        let rate = ConnectRate::new(2);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let start = Instant::now();
        let allowed = [one, one, one, other].map(|peer| rate.allow(peer, start));
        assert_eq!(allowed, [true, true, false, true]);
        assert!((0..10).all(|_| rate.allow("127.0.0.1".parse().unwrap(), start)));
        assert!(rate.allow(one, start + Duration::from_millis(500)));
        assert!(!rate.allow(one, start + Duration::from_millis(600)));
    }
}
