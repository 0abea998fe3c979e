//! The engine with what it needs: the clock, the store, the adapters, and the tasks of the connections to wake.
//!
//! Guarantee: what the engine records is written before anything that came of it is sent, because both happen under one
//! lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use broker_engine::{
    AckToken, ConnectionKey, Engine, Event, InternalOutput, LocalPublish, Now, Output, Rest,
};
use gateway_core::ports::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Limits;
use crate::gathering::Gathering;
use crate::inbox::{Bounds, Inbox};
use crate::link::CHUNK;
use crate::log::EventLog;
use crate::receive_memory::{ReceiveMemory, ReceiveShare};
use crate::store::Store;
use crate::tap::Tap;

/// The broker's state, shared by all its tasks.
pub(crate) struct Hub {
    state: Mutex<State>,
    pub(crate) tap: Tap,
    pub(crate) gathering: Gathering,
    log: EventLog,
    clock: Arc<dyn Clock>,
    started: Instant,
    /// Something was written that must be synced before it is acknowledged.
    pub(crate) sync_wanted: Notify,
    /// The largest packet, in bytes.
    pub(crate) packet_bytes: usize,
    /// Memory of what has not come whole.
    pub(crate) receive_memory: Arc<ReceiveMemory>,
    /// How long a large packet may take to come whole.
    pub(crate) packet_timeout: Duration,
}

struct State {
    engine: Engine,
    store: Store,
    /// The task of each connection, by its index in the engine.
    tasks: Vec<Option<Task>>,
    woken: Vec<ConnectionKey>,
}

struct Task {
    key: ConnectionKey,
    waker: Waker,
}

/// What came of [`Hub::exchange`].
pub(crate) struct Exchanged {
    pub(crate) rest: Rest,
    /// Whether more may be read.
    pub(crate) wants_more: bool,
    /// What adapters must take.
    pub(crate) locals: Vec<LocalPublish>,
    /// Of [`Engine::work`].
    pub(crate) work: u64,
}

/// What follows from a change, outside of the lock.
struct Consequences {
    wakers: Vec<Waker>,
    locals: Vec<LocalPublish>,
    events: Vec<Event>,
    wants_sync: bool,
}

impl Hub {
    pub(crate) fn new(
        (engine, store): (Engine, Store),
        tap: Tap,
        clock: Arc<dyn Clock>,
        started: Instant,
        limits: &Limits,
    ) -> Arc<Self> {
        let state = State { engine, store, tasks: Vec::new(), woken: Vec::new() };
        Arc::new(Self {
            state: Mutex::new(state),
            tap,
            gathering: Gathering::default(),
            log: EventLog::default(),
            clock,
            started,
            sync_wanted: Notify::new(),
            packet_bytes: limits.max_packet_size as usize,
            receive_memory: ReceiveMemory::new(limits.max_connect_memory, limits.max_memory / 4),
            packet_timeout: limits.packet_timeout,
        })
    }

    pub(crate) fn now(&self) -> Now {
        now(self.started, &*self.clock)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the engine's state, writes the records of the change, and wakes the connections that have something to send.
    pub(crate) fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let now = self.now();
        let (value, consequences) = {
            let mut state = self.lock();
            let value = change(&mut state.engine, now);
            (value, state.settle(None))
        };
        self.follow(consequences);
        value
    }

    /// Gives the engine the bytes that a connection received, and takes what it has to send, if there is a place for it.
    /// `waker` is that of the connection's task, and is remembered.
    pub(crate) fn exchange(
        self: &Arc<Self>,
        key: ConnectionKey,
        waker: &Waker,
        (inbox, share): (&mut Inbox, &ReceiveShare),
        (may_take, bytes): (bool, &[u8]),
        output: Option<&mut Output>,
    ) -> Exchanged {
        let now = self.now();
        let bounds = Bounds { packet_bytes: self.packet_bytes, share };
        let mut locals = Vec::new();
        let (exchanged, consequences) = {
            let mut state = self.lock();
            state.remember(key, waker);
            let before = state.engine.work();
            if may_take && (!bytes.is_empty() || !inbox.is_empty()) {
                inbox.take(&mut state.engine, key, bytes, bounds, &mut locals, now);
            }
            let consequences = state.settle(Some(key));
            // Only now: what it stands on is written.
            let rest = match output {
                Some(output) => state.engine.output(key, output, CHUNK, now),
                None if state.engine.is_closing(key) => Rest::Close,
                None => Rest::Nothing,
            };
            let wants_more = state.engine.wants_more(key);
            let work = state.engine.work() - before;
            (Exchanged { rest, wants_more, locals, work }, consequences)
        };
        self.follow(consequences);
        exchanged
    }

    fn follow(self: &Arc<Self>, consequences: Consequences) {
        let Consequences { wakers, locals, events, wants_sync } = consequences;
        wakers.into_iter().for_each(Waker::wake);
        for event in &events {
            self.log.write(event);
        }
        for local in locals {
            // A will, or a message of the gateway itself: nobody waits for its outcome.
            self.tap.spawn_delivery(self, local);
        }
        if wants_sync {
            self.sync_wanted.notify_one();
        }
    }

    /// What a client within the process gets next. `waker` is that of its task, and is remembered.
    pub(crate) fn internal_output(
        self: &Arc<Self>,
        key: ConnectionKey,
        wants_messages: bool,
        waker: &Waker,
    ) -> Option<InternalOutput> {
        let now = self.now();
        let (output, consequences) = {
            let mut state = self.lock();
            state.remember(key, waker);
            let output = state.engine.internal_output(key, wants_messages, now);
            (output, state.settle(None))
        };
        self.follow(consequences);
        output
    }

    /// An adapter has taken a message, or has not.
    pub(crate) fn adapter_done(self: &Arc<Self>, token: AckToken, taken: bool) {
        self.with(|engine, _| engine.adapter_done(token, taken));
    }

    /// Forgets the task of a connection that has ended.
    pub(crate) fn forget_task(&self, key: ConnectionKey) {
        let mut state = self.lock();
        if let Some(place) = state.tasks.get_mut(key.index())
            && place.as_ref().is_some_and(|task| task.key == key)
        {
            *place = None;
        }
    }

    /// Works on engine and store together.
    pub(crate) fn with_store<T>(self: &Arc<Self>, work: impl FnOnce(&mut Engine, &mut Store, Now) -> T) -> T {
        let now = self.now();
        let (value, consequences) = {
            let mut state = self.lock();
            let State { engine, store, .. } = &mut *state;
            let value = work(engine, store, now);
            (value, state.settle(None))
        };
        self.follow(consequences);
        value
    }
}

impl State {
    fn remember(&mut self, key: ConnectionKey, waker: &Waker) {
        if self.tasks.len() <= key.index() {
            self.tasks.resize_with(key.index() + 1, || None);
        }
        let Some(place) = self.tasks.get_mut(key.index()) else { return };
        match place {
            Some(task) if task.key == key && task.waker.will_wake(waker) => {}
            _ => *place = Some(Task { key, waker: waker.clone() }),
        }
    }

    /// Writes what the engine recorded, and collects whom to wake.
    fn settle(&mut self, own: Option<ConnectionKey>) -> Consequences {
        let wants_sync = self.store.write(&mut self.engine);
        self.engine.take_woken(&mut self.woken);
        let mut wakers = Vec::new();
        for key in self.woken.drain(..).filter(|key| Some(*key) != own) {
            let task = self.tasks.get(key.index()).and_then(Option::as_ref);
            wakers.extend(task.filter(|task| task.key == key).map(|task| task.waker.clone()));
        }
        Consequences {
            wakers,
            locals: self.engine.take_local(),
            events: self.engine.take_events(),
            wants_sync,
        }
    }
}

/// The time for the engine. The wall clock is only for what is stored.
pub(crate) fn now(started: Instant, clock: &dyn Clock) -> Now {
    let monotonic = Instant::now().saturating_duration_since(started);
    Now { monotonic: millis(monotonic), wall: u64::try_from(clock.now().as_millis() / 1000).unwrap_or(0) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
