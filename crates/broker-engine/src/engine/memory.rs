//! The memory that clients use, in bytes. Messages that wait give way when it is full (`deliver.rs`); what clients hold
//! besides does not, and so has bounds of its own.

use super::{Engine, SessionKey};

/// What each client may hold whatever the others use: it comes on top where the memory is full.
const OWN_SHARE: usize = 4 << 10;

/// The bytes in use by all clients.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    used: usize,
    /// Of `used`: what does not give way.
    held: usize,
}

impl Memory {
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    pub(crate) const fn take(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    pub(crate) const fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

impl Engine {
    /// Takes memory for something that a client holds: a subscription, its will, a topic alias, a QoS 2 message that is not
    /// finished. Messages that wait give way to it. False if it holds a quarter of all memory, if all clients hold half of it, or
    /// if messages that are on their way leave no room.
    pub(crate) fn hold(&mut self, key: SessionKey, bytes: usize) -> bool {
        let most = self.limits.memory_bytes;
        let Some(session) = self.sessions.get(key) else { return false };
        let own = session.held_bytes + bytes;
        let may_hold = own <= most / 4 && self.memory.held + bytes <= most / 2 && self.free_memory(bytes);
        let has_room = own <= OWN_SHARE || may_hold;
        if has_room {
            self.hold_unchecked(key, bytes);
        }
        has_room
    }

    /// As [`Self::hold`], for what is brought back from the disk.
    pub(crate) fn hold_unchecked(&mut self, key: SessionKey, bytes: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.held_bytes += bytes;
        self.memory.held += bytes;
        self.memory.take(bytes);
    }

    pub(crate) fn release(&mut self, key: SessionKey, bytes: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.held_bytes = session.held_bytes.saturating_sub(bytes);
        self.release_of_ended(bytes);
    }

    /// As [`Self::release`], when the session is gone.
    pub(crate) fn release_of_ended(&mut self, bytes: usize) {
        self.memory.held = self.memory.held.saturating_sub(bytes);
        self.memory.give_back(bytes);
    }
}
