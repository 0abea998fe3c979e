//! The observers of each resource (RFC 7641) and the state they are sent.
//!
//! A notification is encoded once for all observers of a resource; each observer adds its token and a message id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::block2::{self, Extras, Part};
use crate::Peer;
use crate::block::{Block, BlockSize};
use crate::message::{Frame, Kind, Token};
use crate::response::Response;
use crate::settings::Settings;

/// The Observe sequence number has 24 bits.
const SEQUENCE_MASK: u32 = (1 << 24) - 1;

/// An observation: a peer, a token and a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObserverId(u64);

#[derive(Debug)]
struct Observer {
    peer: Peer,
    token: Token,
    resource: Arc<str>,
    /// The largest block now, and after its address is verified.
    block_size: BlockSize,
    block_size_verified: BlockSize,
    /// The message id of the last NON. A reset of it ends the observation.
    last_id: Option<u16>,
    /// The number of NONs since the last CON, and the time of that.
    unconfirmed: u32,
    confirmed_at: Instant,
    confirm_in_flight: bool,
    /// The state has changed since that CON was sent.
    changed_since: bool,
}

/// The current state of a resource.
#[derive(Debug)]
struct ResourceState {
    response: Response,
    sequence: u32,
    /// Encoded for each block size in use.
    parts: Vec<(BlockSize, Part)>,
}

#[derive(Debug, Default)]
struct Resource {
    observers: HashSet<ObserverId>,
    state: Option<ResourceState>,
}

#[derive(Debug, Default)]
pub(super) struct Observers {
    observers: HashMap<ObserverId, Observer>,
    resources: HashMap<Arc<str>, Resource>,
    by_peer: HashMap<Peer, Vec<ObserverId>>,
    last: u64,
    /// One sequence for all resources, so that it also grows for a resource that was not observed for a while.
    sequence: u32,
}

/// How to send a notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotifyMethod {
    NonConfirmable(Peer),
    /// As a CON, to check that the observer is alive.
    Confirmable(Peer),
    /// After the CON in flight.
    Deferred,
}

/// A request to observe.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    pub(super) peer: &'a Peer,
    pub(super) token: Token,
    pub(super) resource: &'a str,
    pub(super) block_size: BlockSize,
    pub(super) block_size_verified: BlockSize,
    /// Whether its address is verified; if not, the first notification is a CON.
    pub(super) verified: bool,
}

impl Observers {
    /// Adds or renews an observer. Returns the sequence number of its first response; `None` if there is no space.
    pub(super) fn register(
        &mut self,
        candidate: &Registration<'_>,
        settings: &Settings,
        now: Instant,
    ) -> Option<u32> {
        self.remove_by_token(candidate.peer, candidate.token);
        let of_peer = self.by_peer.get(candidate.peer).map_or(0, Vec::len);
        if self.observers.len() >= settings.observers || of_peer >= settings.observers_per_peer {
            return None;
        }
        self.last = self.last.wrapping_add(1);
        let id = ObserverId(self.last);
        let resource = match self.resources.get_key_value(candidate.resource) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(candidate.resource),
        };
        let observer = Observer {
            peer: candidate.peer.clone(),
            token: candidate.token,
            resource: Arc::clone(&resource),
            block_size: candidate.block_size,
            block_size_verified: candidate.block_size_verified,
            last_id: None,
            unconfirmed: if candidate.verified { 0 } else { settings.confirm_every },
            confirmed_at: now,
            confirm_in_flight: false,
            changed_since: false,
        };
        self.observers.insert(id, observer);
        self.by_peer.entry(candidate.peer.clone()).or_default().push(id);
        self.resources.entry(resource).or_default().observers.insert(id);
        Some(self.sequence)
    }

    /// Stores the new state of `resource`; returns its observers.
    pub(super) fn set_state(&mut self, resource: &str, mut response: Response) -> Vec<ObserverId> {
        let Some(resource) = self.resources.get_mut(resource) else { return Vec::new() };
        if response.payload.len() > BlockSize::SMALLEST.bytes() {
            block2::tag(&mut response);
        }
        self.sequence = self.sequence.wrapping_add(1) & SEQUENCE_MASK;
        resource.state = Some(ResourceState { response, sequence: self.sequence, parts: Vec::new() });
        resource.observers.iter().copied().collect()
    }

    /// How to notify `id`. A CON counts as in flight from now on.
    pub(super) fn choose_method(
        &mut self,
        id: ObserverId,
        settings: &Settings,
        now: Instant,
    ) -> NotifyMethod {
        let Some(observer) = self.observers.get_mut(&id) else { return NotifyMethod::Deferred };
        if observer.confirm_in_flight {
            observer.changed_since = true;
            return NotifyMethod::Deferred;
        }
        let last = self.resources.get(&observer.resource).and_then(|resource| resource.state.as_ref());
        let is_last = last.is_some_and(|state| !state.response.code.is_success());
        let long_ago = now.saturating_duration_since(observer.confirmed_at) >= settings.confirm_after;
        if is_last || long_ago || observer.unconfirmed.saturating_add(1) >= settings.confirm_every {
            observer.confirm_in_flight = true;
            return NotifyMethod::Confirmable(observer.peer.clone());
        }
        NotifyMethod::NonConfirmable(observer.peer.clone())
    }

    /// The notification for `id`, without its message id.
    pub(super) fn frame(&mut self, id: ObserverId, kind: Kind, now: Instant) -> Option<Frame> {
        let observer = self.observers.get_mut(&id)?;
        let state = self.resources.get_mut(&observer.resource)?.state.as_mut()?;
        observer.changed_since = false;
        if kind == Kind::Confirmable {
            observer.unconfirmed = 0;
            observer.confirmed_at = now;
        } else {
            observer.unconfirmed = observer.unconfirmed.saturating_add(1);
        }
        let (code, tail) = state.part(observer.block_size)?;
        Some(Frame { kind, code, id: 0, token: observer.token, tail })
    }

    /// A CON for `id`, if the state has changed since the one in flight.
    pub(super) fn newer_frame(&mut self, id: ObserverId, now: Instant) -> Option<Frame> {
        self.observers.get(&id).filter(|observer| observer.changed_since)?;
        self.frame(id, Kind::Confirmable, now)
    }

    /// A NON was sent to `id` with this message id.
    pub(super) fn notified(&mut self, id: ObserverId, message: u16) {
        if let Some(observer) = self.observers.get_mut(&id) {
            observer.last_id = Some(message);
        }
    }

    /// The CON to `id` could not be queued.
    pub(super) fn send_failed(&mut self, id: ObserverId) {
        if let Some(observer) = self.observers.get_mut(&id) {
            observer.confirm_in_flight = false;
        }
    }

    /// The CON to `id` was acknowledged. Returns whether the state has changed since.
    pub(super) fn confirmed(&mut self, id: ObserverId) -> bool {
        let Some(observer) = self.observers.get_mut(&id) else { return false };
        observer.block_size = observer.block_size_verified;
        observer.confirm_in_flight = false;
        observer.changed_since
    }

    /// Whether the state ends the observation, as an error does (RFC 7641, 4.2).
    pub(super) fn is_over(&self, id: ObserverId) -> bool {
        let state = self
            .observers
            .get(&id)
            .and_then(|observer| self.resources.get(&observer.resource)?.state.as_ref());
        state.is_some_and(|state| !state.response.code.is_success())
    }

    /// Ends an observation; returns its resource.
    pub(super) fn remove(&mut self, id: ObserverId) -> Option<Arc<str>> {
        let observer = self.observers.remove(&id)?;
        if let Some(of_peer) = self.by_peer.get_mut(&observer.peer) {
            of_peer.retain(|other| *other != id);
            if of_peer.is_empty() {
                self.by_peer.remove(&observer.peer);
            }
        }
        if let Some(resource) = self.resources.get_mut(&observer.resource) {
            resource.observers.remove(&id);
            if resource.observers.is_empty() {
                self.resources.remove(&observer.resource);
            }
        }
        Some(observer.resource)
    }

    pub(super) fn by_token(&self, peer: &Peer, token: Token) -> Option<ObserverId> {
        self.find(peer, |observer| observer.token == token)
    }

    /// The observer whose last NON had this message id.
    pub(super) fn by_message(&self, peer: &Peer, id: u16) -> Option<ObserverId> {
        self.find(peer, |observer| observer.last_id == Some(id))
    }

    pub(super) fn of_peer(&self, peer: &Peer) -> Vec<ObserverId> {
        self.by_peer.get(peer).cloned().unwrap_or_default()
    }

    pub(super) fn count(&self, resource: &str) -> usize {
        self.resources.get(resource).map_or(0, |resource| resource.observers.len())
    }

    pub(super) fn len(&self) -> usize {
        self.observers.len()
    }

    fn find(&self, peer: &Peer, wanted: impl Fn(&Observer) -> bool) -> Option<ObserverId> {
        let of_peer = self.by_peer.get(peer)?;
        of_peer.iter().copied().find(|id| self.observers.get(id).is_some_and(&wanted))
    }

    fn remove_by_token(&mut self, peer: &Peer, token: Token) {
        if let Some(id) = self.by_token(peer, token) {
            self.remove(id);
        }
    }
}

impl ResourceState {
    fn part(&mut self, size: BlockSize) -> Option<(crate::Code, Bytes)> {
        if !self.parts.iter().any(|(other, _)| *other == size) {
            let observe = self.response.code.is_success().then_some(self.sequence);
            let asked = Block { number: 0, more: false, size };
            let asked = (self.response.payload.len() > size.bytes()).then_some(asked);
            let part = block2::part(&self.response, asked, size, Extras { observe, ..Extras::default() })?;
            self.parts.push((size, part));
        }
        let (_, part) = self.parts.iter().find(|(other, _)| *other == size)?;
        Some((part.code, part.tail.clone()))
    }
}
