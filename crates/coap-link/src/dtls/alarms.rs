//! Which peer wants to be called when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

/// The alarms of one table: at most one an address, which whoever sets it remembers.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeSet<(Instant, SocketAddr)>);

impl Alarms {
    /// Sets the alarm of `address`, which stood at `remembered`.
    pub(super) fn set(&mut self, address: SocketAddr, remembered: &mut Instant, at: Instant) {
        if *remembered == at && self.0.contains(&(at, address)) {
            return;
        }
        self.clear(address, *remembered);
        self.0.insert((at, address));
        *remembered = at;
    }

    /// Takes the alarm of `address` away.
    pub(super) fn clear(&mut self, address: SocketAddr, remembered: Instant) {
        self.0.remove(&(remembered, address));
    }

    /// The first alarm.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Everybody whose alarm is due, in order.
    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.0.iter().take_while(|&&(at, _)| at <= now).map(|&(_, address)| address).collect()
    }
}
