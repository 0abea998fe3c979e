//! Whose password is checked next. A check takes tens of milliseconds and megabytes by design, so there is one at a time, and
//! a bounded number that wait.
//!
//! - A peer that has failed less comes before one that has failed more, and the first of a peer's tries before another's second.
//!   So a flood of wrong passwords, also from many addresses, does not keep waiting who has not failed yet.
//! - Where too many wait, the last in that order is told to ask again later.
//! - A peer is an address, or a /64 of IPv6. Failures are forgotten one a minute, and all when a password of the peer is right.

use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::{BoundedMap, network};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Tries that may wait, of all peers; and of one, the running one included.
const MOST_WAITING: usize = 64;
pub(crate) const MOST_OF_ONE: usize = 4;
/// Peers whose failures are remembered.
const MOST_REMEMBERED: usize = 4096;
/// One failure is forgotten each.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Turns of the whole process: what a check takes, it takes of the machine.
static TURNS: LazyLock<Turns> = LazyLock::new(Turns::new);

/// Waits for a turn; none where too many wait.
pub(crate) async fn take(peer: IpAddr) -> Option<Turn> {
    TURNS.take(peer).await
}

struct Turns(Mutex<State>);

struct State {
    running: Option<IpAddr>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    failures: BoundedMap<IpAddr, Failures>,
    next: u64,
}

struct Waiting {
    number: u64,
    peer: IpAddr,
    call: oneshot::Sender<Turn>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
}

/// The right to check a password; the next one's when it is dropped.
pub(crate) struct Turn {
    turns: &'static Turns,
    peer: IpAddr,
}

impl Turn {
    /// What the check found.
    pub(crate) fn end(self, matches: bool) {
        let mut state = self.turns.lock();
        if matches {
            state.failures.remove(&self.peer);
        } else {
            let now = Instant::now();
            let count = state.failed(self.peer, now).saturating_add(1);
            state.failures.insert(self.peer, Failures { count, since: now });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.turns.lock().next_call();
        if let Some((call, peer)) = next {
            // Who has gone meanwhile drops it, and so passes it on.
            let _ = call.send(Self { turns: self.turns, peer });
        }
    }
}

/// Gives a place in the queue back if its owner goes away.
struct Place {
    turns: &'static Turns,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turns.lock().waiting.retain(|one| one.number != self.number);
    }
}

impl Turns {
    fn new() -> Self {
        let failures = BoundedMap::new(MOST_REMEMBERED);
        Self(Mutex::new(State { running: None, waiting: Vec::new(), failures, next: 0 }))
    }

    async fn take(&'static self, peer: IpAddr) -> Option<Turn> {
        let peer = network(peer);
        let (_place, called) = {
            let mut state = self.lock();
            if state.running.is_none() {
                state.running = Some(peer);
                return Some(Turn { turns: self, peer });
            }
            let (number, called) = state.wait(peer)?;
            (Place { turns: self, number }, called)
        };
        called.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn failed(&self, peer: IpAddr, now: Instant) -> u32 {
        let Some(failures) = self.failures.get(&peer) else { return 0 };
        let forgotten = now.saturating_duration_since(failures.since).as_secs() / FORGOTTEN.as_secs();
        failures.count.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    /// How far back a try of this peer stands that has so many of the same peer before it. The lowest is next.
    fn rank(&self, peer: IpAddr, before: usize, now: Instant) -> usize {
        self.failed(peer, now) as usize + before
    }

    /// The waiting ones with their ranks, in the order in which they came.
    fn ranks(&self, now: Instant) -> Vec<(usize, usize)> {
        let of = |(index, one): (usize, &Waiting)| {
            let earlier = self.waiting.iter().take(index).filter(|other| other.peer == one.peer).count();
            (self.rank(one.peer, earlier, now), index)
        };
        self.waiting.iter().enumerate().map(of).collect()
    }

    fn wait(&mut self, peer: IpAddr) -> Option<(u64, oneshot::Receiver<Turn>)> {
        let waiting = self.waiting.iter().filter(|one| one.peer == peer).count();
        if waiting + usize::from(self.running == Some(peer)) >= MOST_OF_ONE {
            return None;
        }
        if self.waiting.len() >= MOST_WAITING {
            let now = Instant::now();
            let own = self.rank(peer, waiting, now);
            let (last, index) = self.ranks(now).into_iter().max()?;
            if last <= own {
                return None;
            }
            self.waiting.remove(index);
        }
        let (call, called) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting.push(Waiting { number, peer, call });
        Some((number, called))
    }

    fn next_call(&mut self) -> Option<(oneshot::Sender<Turn>, IpAddr)> {
        self.running = None;
        let (_, index) = self.ranks(Instant::now()).into_iter().min()?;
        let Waiting { peer, call, .. } = self.waiting.remove(index);
        self.running = Some(peer);
        Some((call, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn turns() -> &'static Turns {
        Box::leak(Box::new(Turns::new()))
    }

    /// Starts to wait, and returns when it waits.
    async fn waiting(turns: &'static Turns, of: u8) -> tokio::task::JoinHandle<Option<Turn>> {
        let before = turns.lock().next;
        let task = tokio::spawn(turns.take(peer(of)));
        while turns.lock().next == before && !task.is_finished() {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn who_has_not_failed_comes_before_who_has_and_each_peer_has_its_turn() {
        let turns = turns();
        turns.take(peer(1)).await.unwrap().end(false);
        let running = turns.take(peer(9)).await.unwrap();
        let order: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
        let mut tasks = Vec::new();
        for of in [1, 2, 2, 3] {
            let task = waiting(turns, of).await;
            tasks.push(tokio::spawn(async move {
                let turn = task.await.unwrap();
                order.lock().unwrap().push(of);
                turn.unwrap().end(false);
            }));
        }
        drop(running);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [2, 3, 1, 2]);
    }

    #[tokio::test]
    async fn where_too_many_wait_the_one_that_failed_most_gives_way() {
        let turns = turns();
        let running = turns.take(peer(250)).await.unwrap();
        let mut tasks = Vec::new();
        for of in 0..u8::try_from(MOST_WAITING).unwrap() {
            tasks.push(waiting(turns, of).await);
        }
        assert!(turns.take(peer(200)).await.is_none(), "nobody has failed more");
        turns.lock().failures.insert(peer(7), Failures { count: 1, since: Instant::now() });
        let late = waiting(turns, 200).await;
        assert!(tasks.remove(7).await.unwrap().is_none(), "it is told to come again");
        assert!(!late.is_finished());
        drop(running);
        for task in tasks {
            assert!(task.await.unwrap().is_some());
        }
        assert!(late.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_no_place_and_no_turn_behind() {
        let turns = turns();
        let running = turns.take(peer(1)).await.unwrap();
        waiting(turns, 2).await.abort();
        while !turns.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(running);
        assert!(turns.take(peer(3)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_with_time_and_by_a_right_password() {
        let turns = turns();
        for _ in 0..3 {
            turns.take(peer(1)).await.unwrap().end(false);
        }
        assert_eq!(turns.lock().failed(peer(1), Instant::now()), 3);
        tokio::time::advance(2 * FORGOTTEN).await;
        assert_eq!(turns.lock().failed(peer(1), Instant::now()), 1);
        turns.take(peer(1)).await.unwrap().end(true);
        assert_eq!(turns.lock().failed(peer(1), Instant::now()), 0);
    }
}
