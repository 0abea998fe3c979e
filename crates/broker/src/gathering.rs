//! Messages for adapters, gathered until all connections that are ready have read theirs: so an adapter wakes once for all of
//! them, and the pipeline stores them together. That saves a third of the gateway's CPU with a thousand connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use broker_engine::{ConnectionKey, LocalPublish};

use crate::hub::Hub;

#[derive(Debug, Default)]
pub(crate) struct Gathering {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gathered: Vec<(ConnectionKey, LocalPublish)>,
    /// Messages that an adapter has no room for: their connection waits with them, and no other does.
    held: HashMap<ConnectionKey, Vec<LocalPublish>>,
}

impl Gathering {
    pub(crate) fn add(&self, key: ConnectionKey, locals: Vec<LocalPublish>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.gathered.extend(locals.into_iter().map(|local| (key, local)));
    }

    /// Delivers what was gathered, of all connections; returns what of `key` must wait.
    pub(crate) fn deliver(&self, hub: &Arc<Hub>, key: ConnectionKey) -> Vec<LocalPublish> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { gathered, held } = &mut *state;
        for (key, mut local) in gathered.drain(..) {
            // Behind those of its connection that wait already.
            if held.contains_key(&key) || !hub.tap.deliver_now(hub, &mut local) {
                held.entry(key).or_default().push(local);
            }
        }
        held.remove(&key).unwrap_or_default()
    }
}
