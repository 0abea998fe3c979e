//! The running broker: start, addresses, users, stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::settings::Secret;
use gateway_core::{Condition, Throttle};
use mqtt5::broker::auth::AuthProvider;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::auth::{Access, INTERNAL_USER, InternalAuth, PublicAuth};
use crate::client::Shared;
use crate::engine::{Engine, client_config};
use crate::listener::{self, Listener};
use crate::listeners::{self, Listeners};
use crate::{BrokerError, LOG_PERIOD, Limits, Settings, Tap};

/// The prefix of client ids that only the gateway may use. A client that connects with the id of another takes over its
/// session, so the gateway's own clients use ids with this prefix.
pub const INTERNAL_CLIENT_PREFIX: &str = "riser-internal";

/// The gateway needs one connection for each adapter that has sent a command.
const INTERNAL_MAX_CONNECTIONS: usize = 64;
/// How long connections may take to end at the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// A running broker. If it is dropped without [`Broker::stop`], it closes its listeners and connections, and messages
/// that are not on disk yet may be lost.
pub struct Broker {
    engine: Arc<Engine>,
    auth: Arc<PublicAuth>,
    listeners: Arc<Listeners>,
    internal_address: SocketAddr,
    internal_password: Secret,
    connections: TaskTracker,
    /// Ends accepting.
    stop: CancellationToken,
    /// Cuts all connections.
    cut: CancellationToken,
}

/// What all listeners share.
struct Context {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    limits: Limits,
    connections: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Context {
    fn listener(&self, auth: Arc<dyn AuthProvider>, max_connections: usize) -> Arc<Listener> {
        Arc::new(Listener {
            engine: Arc::clone(&self.engine),
            auth,
            config: client_config(&self.limits),
            shared: Arc::clone(&self.shared),
            permits: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            connections: self.connections.clone(),
            stop: self.stop.clone(),
            cut: self.cut.clone(),
            refusal_log: Throttle::new(LOG_PERIOD),
        })
    }
}

impl Broker {
    /// Checks the settings, opens the folder, and starts. Published messages go through `tap` first.
    ///
    /// An address that cannot be bound is not an error: the broker tries it again and reports it in `condition`.
    ///
    /// # Errors
    /// See [`BrokerError`]. Nothing is left running.
    pub async fn start(settings: Settings, tap: Tap, condition: Condition) -> Result<Self, BrokerError> {
        let auth = Arc::new(PublicAuth::new(Access::new(settings.anonymous, settings.users.clone())?));
        let endpoints = listeners::endpoints(&settings).await?;
        let internal = listener::bind((Ipv4Addr::LOCALHOST, 0).into(), "the gateway itself").await?;
        let internal_address = listener::address_of(&internal, "the gateway itself")?;
        let engine = Arc::new(Engine::open(&settings.data_dir, &settings.limits).await?);
        let internal_password = Secret::new(format!("{:032x}", rand::random::<u128>()));
        let context = Context {
            engine: Arc::clone(&engine),
            shared: Arc::new(Shared::new(tap)),
            limits: settings.limits,
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let listener = context.listener(auth.clone(), settings.limits.max_clients);
        let listeners = Listeners::open(endpoints, &listener, condition).await;
        let auth_internal = Arc::new(InternalAuth::new(internal_password.clone()));
        let listener = context.listener(auth_internal, INTERNAL_MAX_CONNECTIONS);
        context.connections.spawn(listener.run(internal, listener::plain()));
        let stop = context.stop.clone();
        context.connections.spawn(async move { engine.sweep(stop).await });
        let Context { engine, connections, stop, cut, .. } = context;
        Ok(Self { engine, auth, listeners, internal_address, internal_password, connections, stop, cut })
    }

    /// The open listeners: protocol (`mqtt`, `websocket`, `mqtt over TLS`, `websocket over TLS`) and address. For a
    /// configured port 0, the address has the port that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.listeners.addresses()
    }

    /// A plain listener on loopback, on a port of the system's choice, that accepts only the internal user. It has its
    /// own connection limit, so that many clients at the other listeners cannot keep the gateway out.
    #[must_use]
    pub const fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// Name and password of the internal user, who may do everything, but only at [`Self::internal_address`]. Every
    /// start generates a new password.
    #[must_use]
    pub fn internal_credentials(&self) -> (String, Secret) {
        (INTERNAL_USER.to_owned(), self.internal_password.clone())
    }

    /// Replaces users and permissions. Connected clients stay connected and get the new permissions; a client whose
    /// user is gone may do nothing.
    pub fn set_access(&self, access: Access) {
        self.auth.replace(access);
    }

    /// Stops listening, ends all connections (v5 clients get a DISCONNECT), and writes sessions and queues to disk.
    pub async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.connections.wait()).await.is_err() {
            warn!("broker: some connections did not end in time and were cut off");
            self.cut.cancel();
            self.connections.wait().await;
        }
        self.engine.close().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}
