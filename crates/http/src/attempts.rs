//! How often an address may try a password or token: a few at once, then one every few seconds.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use gateway_core::{BoundedMap, network};

/// Wrong tries that come at once.
const BURST: u32 = 10;
/// One more is allowed after so long.
const EVERY: Duration = Duration::from_secs(6);
/// Addresses that are remembered.
const MOST: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    since: Instant,
}

/// The wrong tries of each address.
#[derive(Debug)]
pub(crate) struct Attempts(BoundedMap<IpAddr, Tries>);

impl Attempts {
    pub(crate) fn new() -> Self {
        Self(BoundedMap::new(MOST))
    }

    /// Whether this address may try now; else, after how long.
    pub(crate) fn may_try(&mut self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(tries) = self.0.get_mut(&network(peer)) else { return Ok(()) };
        tries.forget(now);
        if tries.wrong < BURST { Ok(()) } else { Err(EVERY.saturating_sub(now.duration_since(tries.since))) }
    }

    /// A try was wrong.
    pub(crate) fn wrong(&mut self, peer: IpAddr, now: Instant) {
        let peer = network(peer);
        match self.0.get_mut(&peer) {
            Some(tries) => {
                tries.forget(now);
                tries.wrong = tries.wrong.saturating_add(1);
            }
            None => {
                self.0.insert(peer, Tries { wrong: 1, since: now });
            }
        }
    }
}

impl Tries {
    /// One try is forgotten each [`EVERY`].
    fn forget(&mut self, now: Instant) {
        let over = now.duration_since(self.since).as_secs() / EVERY.as_secs();
        if over > 0 {
            self.wrong = self.wrong.saturating_sub(u32::try_from(over).unwrap_or(u32::MAX));
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::clock::monotonic;

    use super::*;

    #[test]
    fn an_address_waits_after_many_wrong_tries_and_no_other_does() {
        let mut attempts = Attempts::new();
        let start = monotonic();
        let (one, two): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..BURST {
            assert_eq!(attempts.may_try(one, start), Ok(()));
            attempts.wrong(one, start);
        }
        assert_eq!(attempts.may_try(one, start), Err(EVERY));
        assert_eq!(attempts.may_try(two, start), Ok(()));
        assert_eq!(attempts.may_try(one, start + EVERY), Ok(()));
        attempts.wrong(one, start + EVERY);
        assert!(attempts.may_try(one, start + EVERY).is_err());
    }
}
