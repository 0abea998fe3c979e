//! The broker as the gateway holds it: start, ask for addresses, stop.

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
use crate::door::{self, Door};
use crate::engine::{Engine, client_config};
use crate::listeners::{self, Listeners};
use crate::{BrokerError, LOG_PERIOD, Limits, Settings, Tap, User};

/// Client ids that begin so are refused to everybody but the gateway: whoever connects with another's id takes over
/// its session. The gateway's own clients should therefore use it.
pub const INTERNAL_CLIENT_PREFIX: &str = "riser-internal";

/// Connections to the internal listener at once; the gateway needs one for each adapter that has sent a command.
const INTERNAL_ROOM: usize = 64;
/// How long connections have for their goodbyes at the stop.
const GOODBYE_TIME: Duration = Duration::from_secs(3);

/// A running broker. Dropped without [`Broker::stop`], it stops listening and cuts its connections off; what was on
/// its way to disk may then be lost.
pub struct Broker {
    engine: Arc<Engine>,
    auth: Arc<PublicAuth>,
    listeners: Arc<Listeners>,
    internal_address: SocketAddr,
    internal_password: Secret,
    connections: TaskTracker,
    /// No new connections.
    stop: CancellationToken,
    /// No connections at all.
    cut: CancellationToken,
}

/// What all doors have in common.
struct House {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    limits: Limits,
    connections: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl House {
    fn door(&self, auth: Arc<dyn AuthProvider>, room: usize) -> Arc<Door> {
        Arc::new(Door {
            engine: Arc::clone(&self.engine),
            auth,
            config: client_config(&self.limits),
            shared: Arc::clone(&self.shared),
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            connections: self.connections.clone(),
            stop: self.stop.clone(),
            cut: self.cut.clone(),
            full: Throttle::new(LOG_PERIOD),
        })
    }
}

impl Broker {
    /// Checks the settings, opens the folder, and starts. What clients publish goes through `tap` first.
    ///
    /// An address that cannot be listened on is no error: it is tried again until it can be, and `condition` tells.
    ///
    /// # Errors
    /// See [`BrokerError`]. Nothing is left running.
    pub async fn start(settings: Settings, tap: Tap, condition: Condition) -> Result<Self, BrokerError> {
        let auth = Arc::new(PublicAuth::new(Access::new(settings.anonymous, settings.users.clone())?));
        let wanted = listeners::wanted(&settings).await?;
        let internal = door::bind((Ipv4Addr::LOCALHOST, 0).into(), "the gateway itself").await?;
        let internal_address = door::address_of(&internal, "the gateway itself")?;
        let engine = Arc::new(Engine::open(&settings.data_dir, &settings.limits).await?);
        let internal_password = Secret::new(format!("{:032x}", rand::random::<u128>()));
        let house = House {
            engine: Arc::clone(&engine),
            shared: Arc::new(Shared::new(tap)),
            limits: settings.limits,
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let door = house.door(auth.clone(), settings.limits.max_clients);
        let listeners = Listeners::open(wanted, &door, condition).await;
        let door = house.door(Arc::new(InternalAuth::new(internal_password.clone())), INTERNAL_ROOM);
        house.connections.spawn(door.keep(internal, door::plain()));
        let stop = house.stop.clone();
        house.connections.spawn(async move { engine.sweep(stop).await });
        let House { engine, connections, stop, cut, .. } = house;
        Ok(Self { engine, auth, listeners, internal_address, internal_password, connections, stop, cut })
    }

    /// What it listens on for clients now: protocol (`mqtt`, `websocket`, `mqtt over TLS`, `websocket over TLS`) and
    /// address, with the port that the system chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.listeners.addresses()
    }

    /// A plain listener on loopback, on a port of the system's choice, that only takes the internal user. It has room
    /// of its own, so that no crowd at the other listeners keeps the gateway out.
    #[must_use]
    pub const fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// Name and password of the internal user, who may do everything, at [`Self::internal_address`] only. The password
    /// is made anew at every start.
    #[must_use]
    pub fn internal_credentials(&self) -> (String, Secret) {
        (INTERNAL_USER.to_owned(), self.internal_password.clone())
    }

    /// Other users and permissions from now on. Those connected keep their connections; what they may publish and
    /// subscribe to is asked of the new ones, and who is no longer among them may do nothing.
    ///
    /// # Errors
    /// Where a name, password or filter cannot be used; the old users then remain.
    pub fn set_users(&self, anonymous: bool, users: Vec<User>) -> Result<(), BrokerError> {
        self.auth.replace(Access::new(anonymous, users)?);
        Ok(())
    }

    /// Stops listening, ends all connections (v5 clients are told), and writes sessions and queues to disk.
    pub async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        if tokio::time::timeout(GOODBYE_TIME, self.connections.wait()).await.is_err() {
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
