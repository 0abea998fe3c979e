//! A bounded number of things, shared among peers: connections, streams, exports, bytes of answers under way.
//!
//! - Together they are never more than `most`, and one peer never has more than `most_of_one`.
//! - Where nothing is left, the peer that has most gives its newest thing up for a peer that will have less. So no number of peers
//!   that take all they can get keeps out one that takes little.
//! - A peer is an address, or a /64 of IPv6.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::network;
use tokio_util::sync::CancellationToken;

/// The bound. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shares(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    most: usize,
    most_of_one: usize,
    used: usize,
    next: u64,
    peers: HashMap<IpAddr, Holdings>,
}

/// What one peer has.
#[derive(Debug, Default)]
struct Holdings {
    used: usize,
    /// By number, the newest last: its size, and what ends it.
    shares: BTreeMap<u64, (usize, CancellationToken)>,
}

/// One thing's part; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    peer: IpAddr,
    number: u64,
}

impl Shares {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        let state = State { most, most_of_one, used: 0, next: 0, peers: HashMap::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A part of this size for a peer; none where the peer or all have too much. `cut` is cancelled when the part must be given
    /// up for another peer: it counts as free from then on.
    pub(crate) fn take(&self, peer: IpAddr, size: usize, cut: &CancellationToken) -> Option<Share> {
        let peer = network(peer);
        let mut state = self.lock();
        let own = state.used_by(peer) + size;
        if own > state.most_of_one {
            return None;
        }
        while state.used + size > state.most {
            state.take_from_largest(own)?;
        }
        let number = state.add(peer, size, cut.clone());
        Some(Share { shares: self.clone(), peer, number })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn used_by(&self, peer: IpAddr) -> usize {
        self.peers.get(&peer).map_or(0, |holdings| holdings.used)
    }

    fn add(&mut self, peer: IpAddr, size: usize, cut: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.used += size;
        let holdings = self.peers.entry(peer).or_default();
        holdings.used += size;
        holdings.shares.insert(number, (size, cut));
        number
    }

    /// Takes the newest thing of the peer that has most, if that is more than `own`.
    fn take_from_largest(&mut self, own: usize) -> Option<()> {
        let largest = self.peers.iter().max_by_key(|(_, holdings)| holdings.used);
        let (peer, holdings) = largest.filter(|(_, holdings)| holdings.used > own)?;
        let (number, peer) = (*holdings.shares.keys().next_back()?, *peer);
        self.remove(peer, number)?.cancel();
        Some(())
    }

    fn remove(&mut self, peer: IpAddr, number: u64) -> Option<CancellationToken> {
        let holdings = self.peers.get_mut(&peer)?;
        let (size, cut) = holdings.shares.remove(&number)?;
        holdings.used -= size;
        if holdings.shares.is_empty() {
            self.peers.remove(&peer);
        }
        self.used -= size;
        Some(cut)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.lock().remove(self.peer, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn take(shares: &Shares, of: u8, size: usize) -> Option<(Share, CancellationToken)> {
        let cut = CancellationToken::new();
        shares.take(peer(of), size, &cut).map(|share| (share, cut))
    }

    #[test]
    fn one_peer_has_at_most_its_part_and_gives_it_back() {
        let shares = Shares::new(10, 5);
        let held: Vec<_> = (0..5).map(|_| take(&shares, 1, 1).unwrap()).collect();
        assert!(take(&shares, 1, 1).is_none());
        drop(held);
        assert!(take(&shares, 1, 5).is_some());
        assert!(shares.lock().peers.is_empty());
    }

    #[test]
    fn the_peer_with_most_gives_its_newest_up_for_one_with_less() {
        let shares = Shares::new(10, 5);
        let ones: Vec<_> = (0..5).map(|_| take(&shares, 1, 1).unwrap()).collect();
        let twos: Vec<_> = (0..5).map(|_| take(&shares, 2, 1).unwrap()).collect();
        let threes: Vec<_> = (0..3).map(|_| take(&shares, 3, 1).unwrap()).collect();
        assert_eq!(shares.lock().used, 10);
        let alive =
            |held: &[(Share, CancellationToken)]| held.iter().filter(|(_, cut)| !cut.is_cancelled()).count();
        assert_eq!(alive(&ones) + alive(&twos), 7);
        assert_eq!(alive(&threes), 3);
        assert!(
            ones.iter()
                .zip(&twos)
                .take(3)
                .all(|((_, one), (_, two))| !one.is_cancelled() && !two.is_cancelled())
        );
        // With as much as the others have, nobody has to give way.
        assert!(take(&shares, 3, 1).is_none());
        drop((ones, twos, threes));
        assert_eq!(shares.lock().used, 0);
    }

    #[test]
    fn large_things_count_by_their_size() {
        let shares = Shares::new(10, 8);
        let (_large, large) = take(&shares, 1, 8).unwrap();
        let (_small, small) = take(&shares, 2, 3).unwrap();
        assert!(large.is_cancelled() && !small.is_cancelled());
        assert!(take(&shares, 1, 8).is_none());
    }
}
