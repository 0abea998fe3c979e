//! The running broker: start, addresses, users, stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use broker_engine::{Engine, Message, Stats};
use bytes::Bytes;
use credentials::CurrentCertificate;
use gateway_core::Condition;
use gateway_core::ports::Clock;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::auth::{Access, Auth};
use crate::bridge::{self, Bridge};
use crate::entrance::{Entrance, Refusals};
use crate::hub::{self, Hub};
use crate::listeners::{self, Listeners};
use crate::rate::ConnectRate;
use crate::store::Store;
use crate::tls::Certificates;
use crate::{BrokerError, LocalAccess, Settings, Tap};

/// The prefix of client ids that only the gateway may use. A client that connects with the id of another takes over its
/// session, so the gateway's own clients use ids with this prefix.
pub const INTERNAL_CLIENT_PREFIX: &str = "riser-internal";

/// How long connections may take to end at the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the engine looks at what is due by time alone.
const TICK: Duration = Duration::from_secs(1);

/// A running broker. If it is dropped without [`Broker::stop`], it closes its listeners and connections.
pub struct Broker {
    hub: Arc<Hub>,
    auth: Arc<Auth>,
    tls: Option<Arc<CurrentCertificate>>,
    listeners: Arc<Listeners>,
    connections: TaskTracker,
    tasks: TaskTracker,
    /// Ends accepting, and the tasks.
    stop: CancellationToken,
    /// Cuts all connections.
    cut: CancellationToken,
}

impl Broker {
    /// Checks the settings, opens the folder, and starts. Messages that adapters subscribe to go through `tap`.
    ///
    /// An address that cannot be bound is not an error: the broker tries it again and reports it in `condition`.
    ///
    /// # Errors
    /// See [`BrokerError`]. Nothing is left running.
    pub async fn start(
        settings: Settings,
        tap: Tap,
        condition: Condition,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        let auth = Arc::new(Auth::new(Access::new(&settings)?));
        let tls = Certificates::read(&settings)?.current();
        let endpoints = listeners::endpoints(&settings, tls.as_ref())?;
        let limits = settings.limits;
        let started = Instant::now();
        let now = hub::now(started, &*clock);
        let mut engine = Engine::new(limits.engine(), Arc::clone(&auth) as _, now);
        let store = Store::open(&settings.data_dir, settings.sync_every, &mut engine, now)?;
        let hub = Hub::new((engine, store), tap, clock, started, &limits);
        hub.set_adapter_filters();
        // Before the first client, so that no message of it is missed.
        bridge::end_old_sessions(&hub, &settings.bridges);
        let open = |settings| Bridge::open(&hub, settings, condition.clone());
        let bridges: Vec<Bridge> = settings.bridges.into_iter().map(open).collect();
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let connections = TaskTracker::new();
        let entrance = Arc::new(Entrance {
            hub: Arc::clone(&hub),
            auth: Arc::clone(&auth),
            permits: Arc::new(Semaphore::new(limits.max_clients.min(Semaphore::MAX_PERMITS))),
            rate: ConnectRate::new(limits.max_connects_per_second),
            connect_timeout: limits.connect_timeout,
            connections: connections.clone(),
            stop: stop.clone(),
            cut: cut.clone(),
            refusals: Refusals::default(),
        });
        let listeners = Listeners::open(endpoints, &entrance, condition.clone()).await;
        if let Some(path) = &settings.socket {
            listeners.open_socket(path, &entrance);
        }
        let tasks = TaskTracker::new();
        for bridge in bridges {
            tasks.spawn(bridge.run(stop.clone()));
        }
        tasks.spawn(stop.clone().run_until_cancelled_owned(keep_time(Arc::clone(&hub), condition)));
        tasks.spawn(
            stop.clone().run_until_cancelled_owned(keep_durable(Arc::clone(&hub), settings.sync_every)),
        );
        tasks.spawn(stop.clone().run_until_cancelled_owned(follow_adapters(Arc::clone(&hub))));
        Ok(Self { hub, auth, tls, listeners, connections, tasks, stop, cut })
    }

    /// The open listeners: protocol (`mqtt`, `websocket`, `mqtt over TLS`, `websocket over TLS`) and address. For a
    /// configured port 0, the address has the port that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.listeners.addresses()
    }

    /// The broker as the gateway's adapters see it.
    #[must_use]
    pub fn local(&self) -> LocalAccess {
        LocalAccess { hub: Arc::clone(&self.hub) }
    }

    /// What was counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.hub.with(|engine, _| engine.stats())
    }

    /// Replaces users and permissions. Clients that may still connect and read what they read stay connected; the others
    /// are cut off.
    pub fn set_access(&self, access: Access) {
        self.auth.replace(access);
        self.hub.with(|engine, _| engine.policy_changed());
    }

    /// Replaces the certificates: new connections get them. A broker that was started without encrypted listeners has no use for
    /// them.
    pub fn set_certificates(&self, certificates: Certificates) {
        if let Some(tls) = &self.tls {
            certificates.replace(tls);
        }
    }

    /// Stops listening, ends all connections (v5 clients get a DISCONNECT), and writes everything to the disk.
    pub async fn stop(self) {
        self.stop.cancel();
        self.hub.with(|engine, _| engine.shut_down());
        self.connections.close();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.connections.wait()).await.is_err() {
            warn!("broker: some connections did not end in time and were cut off");
            self.cut.cancel();
            self.connections.wait().await;
        }
        self.tasks.wait().await;
        let hub = Arc::clone(&self.hub);
        let closed = tokio::task::spawn_blocking(move || hub.with_store(|_, store, _| store.close())).await;
        debug_assert!(closed.is_ok(), "closing does not panic");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}

impl Hub {
    pub(crate) fn set_adapter_filters(self: &Arc<Self>) {
        let filters = self.tap.filters();
        self.with(|engine, _| {
            engine.set_adapter_filters(filters.iter().map(|(number, filter)| (*number, filter.as_str())));
        });
    }

    /// Publishes a message of the gateway itself, at QoS 1.
    pub(crate) fn publish(self: &Arc<Self>, topic: &str, payload: Bytes) {
        self.publish_message(Message::internal(topic, payload, false));
    }

    /// As [`Self::publish`], retained.
    pub(crate) fn publish_retained(self: &Arc<Self>, topic: &str, payload: Bytes) {
        self.publish_message(Message::internal(topic, payload, true));
    }

    fn publish_message(self: &Arc<Self>, message: Message) {
        let (local, _position) = self.with(|engine, now| engine.publish(message, now));
        if let Some(local) = local {
            self.tap.spawn_delivery(self, local);
        }
    }
}

async fn keep_time(hub: Arc<Hub>, condition: Condition) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = BTreeMap::new();
    loop {
        ticks.tick().await;
        let stats = hub.with(|engine, now| {
            engine.tick(now);
            engine.stats()
        });
        let disk = hub.with_store(|_, store, _| (store.bytes(), store.written_bytes()));
        let figures = figures(&stats, disk);
        if figures != shown {
            condition.show(figures.clone());
            shown = figures;
        }
    }
}

/// What `health` shows. Counters of traffic are left out: they change all the time, and `$SYS` has them.
fn figures(stats: &Stats, (disk_bytes, written_bytes): (u64, u64)) -> BTreeMap<String, u64> {
    let dropped =
        stats.dropped.by_cause().into_iter().map(|(cause, count)| (format!("dropped_{cause}"), count));
    let figures = [
        ("clients", stats.connected as u64),
        ("sessions", stats.sessions as u64),
        ("subscriptions", stats.subscriptions as u64),
        ("retained", stats.retained as u64),
        ("retained_bytes", stats.retained_bytes as u64),
        ("memory_bytes", stats.queued_bytes as u64),
        ("disk_bytes", disk_bytes),
        ("written_bytes", written_bytes),
    ];
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(dropped).collect()
}

/// Syncs what is written, each `sync_every`, or as soon as something waits for it.
async fn keep_durable(hub: Arc<Hub>, sync_every: Duration) {
    let pause = if sync_every.is_zero() { TICK } else { sync_every };
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = hub.sync_wanted.notified() => {}
        }
        let mut works = true;
        if let Some(handle) = hub.with_store(|_, store, _| store.sync_handle()) {
            // A failure is kept in the journal, and told by `synced`.
            let synced = tokio::task::spawn_blocking(move || handle.sync()).await;
            works = synced.is_ok_and(|synced| synced.is_ok());
        }
        works &= hub.with_store(|engine, store, now| store.synced(engine, now));
        if !works {
            // Whatever asks for a sync meanwhile: a disk that refuses is not asked all the time.
            sleep(TICK).await;
        }
    }
}

async fn follow_adapters(hub: Arc<Hub>) {
    let mut changes = hub.tap.changes();
    while changes.changed().await.is_ok() {
        hub.set_adapter_filters();
    }
}
