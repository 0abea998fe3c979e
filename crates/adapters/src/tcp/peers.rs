//! The open connections: their number is bounded and shared fairly between addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;

pub(super) type ConnectionId = u64;

/// The open connections.
#[derive(Debug)]
pub(super) struct Peers {
    max_connections: usize,
    max_rate: u32,
    next_id: ConnectionId,
    connections: BTreeMap<ConnectionId, Connection>,
    addresses: HashMap<IpAddr, Address>,
}

/// The most addresses without connections whose pace is remembered.
const MAX_PAST_ADDRESSES: usize = 1024;

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    close: CancellationToken,
}

#[derive(Debug)]
struct Address {
    connections: usize,
    pace: Arc<Pace>,
}

/// The decision about a new connection.
#[derive(Debug)]
pub(super) enum Admission {
    Admitted(Admitted),
    /// A connection of another address is being closed: try again when one has ended.
    Wait,
    Refused,
}

#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: ConnectionId,
    /// Shared by all connections of the address.
    pub(super) pace: Arc<Pace>,
    /// Cancelled to close the connection in favour of another address.
    pub(super) close: CancellationToken,
}

impl Peers {
    pub(super) fn new(max_connections: usize, max_rate: u32) -> Self {
        Self {
            max_connections,
            max_rate,
            next_id: 0,
            connections: BTreeMap::new(),
            addresses: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Decides about a new connection from `address`; `close` is cancelled to close it later.
    pub(super) fn admit(&mut self, address: IpAddr, close: CancellationToken, now: Instant) -> Admission {
        if self.connections.len() >= self.max_connections {
            return self.evict_for(address);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.forget_rested(now);
        let rate = self.max_rate;
        let entry = self
            .addresses
            .entry(address)
            .or_insert_with(|| Address { connections: 0, pace: Arc::new(Pace::new(rate, now)) });
        entry.connections += 1;
        let pace = Arc::clone(&entry.pace);
        self.connections.insert(id, Connection { address, close: close.clone() });
        Admission::Admitted(Admitted { id, pace, close })
    }

    /// Removes a connection that has ended. The pace of its address stays for a while, so that a new connection does not
    /// begin a new one.
    pub(super) fn remove(&mut self, id: ConnectionId, now: Instant) {
        let Some(Connection { address, .. }) = self.connections.remove(&id) else { return };
        let Some(entry) = self.addresses.get_mut(&address) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        self.forget_rested(now);
    }

    /// Forgets addresses without connections: those that have kept to the rate, and all if there are too many.
    fn forget_rested(&mut self, now: Instant) {
        let is_full = self.addresses.len() >= self.connections.len() + MAX_PAST_ADDRESSES;
        self.addresses.retain(|_, entry| entry.connections > 0 || !(is_full || entry.pace.is_over(now)));
    }

    /// Closes the newest connection of the address with the most, if it then still has at least as many as the new address.
    fn evict_for(&self, newcomer: IpAddr) -> Admission {
        let own = self.addresses.get(&newcomer).map_or(0, |entry| entry.connections);
        let most = self.addresses.iter().max_by_key(|(_, entry)| entry.connections);
        let Some((address, _)) = most.filter(|(_, entry)| entry.connections > own + 1) else {
            return Admission::Refused;
        };
        let newest = self.connections.values().rev().find(|it| it.address == *address);
        newest.map_or(Admission::Refused, |it| {
            it.close.cancel();
            Admission::Wait
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admit(peers: &mut Peers, last: u8) -> Admission {
        peers.admit(IpAddr::from([10, 0, 0, last]), CancellationToken::new(), Instant::now())
    }

    fn admitted(peers: &mut Peers, last: u8) -> Admitted {
        match admit(peers, last) {
            Admission::Admitted(admitted) => admitted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_connection_does_not_begin_a_new_pace() {
        let (start, mut peers) = (Instant::now(), Peers::new(4, 10));
        let first = admitted(&mut peers, 1);
        assert!(!first.pace.rest(100, start).is_zero());
        peers.remove(first.id, start);
        let second = admitted(&mut peers, 1);
        assert!(Arc::ptr_eq(&first.pace, &second.pace), "100 lines take ten seconds");
        peers.remove(second.id, start + Duration::from_secs(11));
        assert!(!Arc::ptr_eq(&first.pace, &admitted(&mut peers, 1).pace), "it has rested");
    }

    #[test]
    fn one_address_may_have_all_connections_until_another_connects() {
        let mut peers = Peers::new(4, 10);
        let first: Vec<_> = (0..4).map(|_| admitted(&mut peers, 1)).collect();
        assert!(matches!(admit(&mut peers, 1), Admission::Refused));
        assert!(matches!(admit(&mut peers, 2), Admission::Wait));
        let closed: Vec<_> = first.iter().map(|it| it.close.is_cancelled()).collect();
        assert_eq!(closed, [false, false, false, true], "the newest");
        peers.remove(first[3].id, Instant::now());
        admitted(&mut peers, 2);
        assert!(matches!(admit(&mut peers, 2), Admission::Wait), "three and one become two and two");
        peers.remove(first[2].id, Instant::now());
        admitted(&mut peers, 2);
        assert!(matches!(admit(&mut peers, 2), Admission::Refused), "two and two are fair");
        assert!(matches!(admit(&mut peers, 1), Admission::Refused));
        assert!(matches!(admit(&mut peers, 3), Admission::Wait));
    }

    #[test]
    fn ended_connections_leave_no_state() {
        let mut peers = Peers::new(2, 10);
        let (one, two) = (admitted(&mut peers, 1), admitted(&mut peers, 1));
        assert!(Arc::ptr_eq(&one.pace, &two.pace), "an address has one pace");
        peers.remove(one.id, Instant::now());
        peers.remove(one.id, Instant::now());
        assert_eq!((peers.len(), peers.addresses.len()), (1, 1));
        peers.remove(two.id, Instant::now());
        assert_eq!((peers.len(), peers.addresses.len()), (0, 0));
    }
}
