//! A timer for each peer address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

/// At most one timer per address. The caller keeps the time to which it is set.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, SocketAddr)>);

impl Timers {
    /// Sets the timer of `address`, which is currently at `current`.
    pub(super) fn set(&mut self, address: SocketAddr, current: &mut Instant, at: Instant) {
        if *current == at && self.0.contains(&(at, address)) {
            return;
        }
        self.clear(address, *current);
        self.0.insert((at, address));
        *current = at;
    }

    /// Removes the timer of `address`.
    pub(super) fn clear(&mut self, address: SocketAddr, current: Instant) {
        self.0.remove(&(current, address));
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// The addresses whose timers are due, in order.
    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.0.iter().take_while(|&&(at, _)| at <= now).map(|&(_, address)| address).collect()
    }
}
