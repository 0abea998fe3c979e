//! Memory for what has not come whole: CONNECTs, large packets, large WebSocket messages.
//!
//! Guarantee: all of it stays within two bounds, one before and one after the login. If a bound is reached, the owner (a user,
//! or an address) that has most loses its largest piece, unless that owner asks for more. So a client that always begins anew
//! harms its own user only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use gateway_core::network;
use slab::Slab;

/// The most that one connection may have before its login: a CONNECT has 256 KiB at most, and buffers grow by doubling.
const MOST_BEFORE_LOGIN: usize = 640 << 10;

/// What a connection gathers. Each has one piece of memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// A CONNECT, or another MQTT packet.
    Packet = 0,
    /// A WebSocket message.
    Message = 1,
}

/// The memory of all connections.
#[derive(Debug)]
pub(crate) struct ReceiveMemory {
    state: Mutex<State>,
}

/// One connection's part in it; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct ReceiveShare {
    memory: Arc<ReceiveMemory>,
    key: usize,
}

/// See [`ReceiveShare::poll`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    Nothing,
    /// Something that is not whole; the number of what was begun first.
    Pieces {
        oldest: u64,
    },
    /// Its memory went to another, or was given up: the connection must end.
    Cut,
}

#[derive(Debug)]
struct State {
    before_login: Pool,
    after_login: Pool,
    connections: Slab<Holder>,
    next_number: u64,
}

#[derive(Debug)]
struct Pool {
    most: usize,
    used: usize,
    owners: HashMap<Owner, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    /// Of a client before its login, or without a user name.
    Address(IpAddr),
    User(Arc<str>),
}

#[derive(Debug)]
struct Holder {
    owner: Owner,
    logged_in: bool,
    pieces: [Piece; 2],
    /// Its memory went to another: the connection must end.
    is_cut: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    bytes: usize,
    /// Grows with each piece that is begun.
    number: u64,
}

impl ReceiveMemory {
    /// Bounds in bytes.
    pub(crate) fn new(before_login: usize, after_login: usize) -> Arc<Self> {
        let pool = |most| Pool { most, used: 0, owners: HashMap::new() };
        let state = State {
            before_login: pool(before_login),
            after_login: pool(after_login),
            connections: Slab::new(),
            next_number: 1,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// The share of a new connection from this address.
    pub(crate) fn share(self: &Arc<Self>, address: IpAddr) -> Arc<ReceiveShare> {
        let owner = Owner::Address(network(address));
        let holder =
            Holder { owner, logged_in: false, pieces: Default::default(), is_cut: false, waker: None };
        let key = self.lock().connections.insert(holder);
        Arc::new(ReceiveShare { memory: Arc::clone(self), key })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReceiveShare {
    /// Sets the size of a piece. False if there is no memory for it: then the connection must end.
    pub(crate) fn reserve(&self, part: Part, bytes: usize) -> bool {
        let (has_room, wakers) = self.memory.lock().reserve(self.key, part, bytes);
        wakers.into_iter().for_each(Waker::wake);
        has_room
    }

    /// The part has come whole.
    pub(crate) fn release(&self, part: Part) {
        self.memory.lock().set(self.key, part, 0);
    }

    /// From now on the share is the user's; without a user, still its address's.
    pub(crate) fn log_in(&self, user: Option<Arc<str>>) {
        let mut state = self.memory.lock();
        state.set(self.key, Part::Packet, 0);
        state.set(self.key, Part::Message, 0);
        if let Some(holder) = state.connections.get_mut(self.key) {
            holder.logged_in = true;
            if let Some(user) = user {
                holder.owner = Owner::User(user);
            }
        }
    }

    /// What the connection has. While it has something, its task is woken if that is taken away.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Holding {
        let mut state = self.memory.lock();
        let Some(holder) = state.connections.get_mut(self.key) else { return Holding::Cut };
        if holder.is_cut {
            return Holding::Cut;
        }
        let begun = holder.pieces.iter().filter(|piece| piece.bytes > 0);
        let Some(oldest) = begun.map(|piece| piece.number).min() else { return Holding::Nothing };
        if !holder.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            holder.waker = Some(cx.waker().clone());
        }
        Holding::Pieces { oldest }
    }

    /// Gives everything back; nothing more is granted.
    pub(crate) fn cut(&self) {
        self.memory.lock().cut(self.key);
    }
}

impl Drop for ReceiveShare {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        state.cut(self.key);
        state.connections.try_remove(self.key);
    }
}

impl State {
    fn pool(&mut self, logged_in: bool) -> &mut Pool {
        if logged_in { &mut self.after_login } else { &mut self.before_login }
    }

    /// Whether there is room, and whom to wake because they were cut.
    fn reserve(&mut self, key: usize, part: Part, bytes: usize) -> (bool, Vec<Waker>) {
        let mut wakers = Vec::new();
        let Some(holder) = self.connections.get(key).filter(|holder| !holder.is_cut) else {
            return (false, wakers);
        };
        let (owner, logged_in) = (holder.owner.clone(), holder.logged_in);
        let most = self.pool(logged_in).most;
        // A packet that is larger than all may have all.
        let bytes = if logged_in { bytes.min(most) } else { bytes };
        let old = self.piece(key, part);
        let own = self.own_bytes(key) - old + bytes;
        if own > most || !logged_in && own > MOST_BEFORE_LOGIN {
            return (false, wakers);
        }
        while self.pool(logged_in).used - old + bytes > most {
            let of_owner = self.pool(logged_in).bytes_of(&owner) - old + bytes;
            let Some(victim) = self.victim(logged_in, (key, &owner), (own, of_owner)) else {
                return (false, wakers);
            };
            wakers.extend(self.cut(victim));
        }
        self.set(key, part, bytes);
        (true, wakers)
    }

    /// The connection that must give way to one that will have `own` bytes, and its owner `of_owner`.
    fn victim(
        &mut self,
        logged_in: bool,
        (key, asking): (usize, &Owner),
        (own, of_owner): (usize, usize),
    ) -> Option<usize> {
        let owners = &self.pool(logged_in).owners;
        let others = owners.iter().filter(|(owner, bytes)| *owner != asking && **bytes > of_owner);
        let largest = others.max_by_key(|(_, bytes)| **bytes).map(|(owner, _)| owner.clone());
        let (owner, least) = largest.map_or((asking.clone(), own), |owner| (owner, 0));
        let candidates = self.connections.iter().filter(|(other, holder)| {
            *other != key && holder.logged_in == logged_in && holder.owner == owner && holder.bytes() > least
        });
        candidates.max_by_key(|(_, holder)| holder.bytes()).map(|(key, _)| key)
    }

    fn piece(&self, key: usize, part: Part) -> usize {
        self.connections
            .get(key)
            .and_then(|holder| holder.pieces.get(part as usize))
            .map_or(0, |one| one.bytes)
    }

    fn own_bytes(&self, key: usize) -> usize {
        self.connections.get(key).map_or(0, Holder::bytes)
    }

    fn set(&mut self, key: usize, part: Part, bytes: usize) {
        let next = self.next_number;
        let Some(holder) = self.connections.get_mut(key) else { return };
        let Some(piece) = holder.pieces.get_mut(part as usize) else { return };
        let old = std::mem::replace(&mut piece.bytes, bytes);
        if old == 0 && bytes > 0 {
            piece.number = next;
            self.next_number += 1;
        }
        let (owner, logged_in) = (holder.owner.clone(), holder.logged_in);
        self.pool(logged_in).change(&owner, old, bytes);
    }

    fn cut(&mut self, key: usize) -> Option<Waker> {
        self.set(key, Part::Packet, 0);
        self.set(key, Part::Message, 0);
        let holder = self.connections.get_mut(key)?;
        holder.is_cut = true;
        holder.waker.take()
    }
}

impl Pool {
    fn bytes_of(&self, owner: &Owner) -> usize {
        self.owners.get(owner).copied().unwrap_or(0)
    }

    fn change(&mut self, owner: &Owner, old: usize, new: usize) {
        self.used = self.used.saturating_sub(old) + new;
        let bytes = self.bytes_of(owner).saturating_sub(old) + new;
        if bytes == 0 {
            self.owners.remove(owner);
        } else {
            self.owners.insert(owner.clone(), bytes);
        }
    }
}

impl Holder {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }
}

#[cfg(test)]
mod tests;
