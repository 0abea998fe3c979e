//! The broker as the gateway holds it: start, ask for addresses, stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::settings::Secret;
use mqtt5::broker::auth::AuthProvider;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::auth::{Access, INTERNAL_USER, InternalAuth, PublicAuth};
use crate::client::Shared;
use crate::door::{self, Door, Handshake};
use crate::engine::{Engine, client_config};
use crate::log_limit::LogLimit;
use crate::{BrokerError, Limits, Settings, Tap, User};

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
    addresses: Vec<(&'static str, SocketAddr)>,
    internal_address: SocketAddr,
    internal_password: Secret,
    connections: TaskTracker,
    /// No new connections.
    stop: CancellationToken,
    /// No connections at all.
    cut: CancellationToken,
}

/// A listener, and what is to be done with its connections.
type Listening = (&'static str, TcpListener, Handshake);

impl Broker {
    /// Checks the settings, opens the folder, binds every listener, and starts. What clients publish goes through `tap`
    /// first.
    ///
    /// # Errors
    /// See [`BrokerError`]. Nothing is left running.
    pub async fn start(settings: Settings, tap: Tap) -> Result<Self, BrokerError> {
        let auth = Arc::new(PublicAuth::new(Access::new(settings.anonymous, settings.users.clone())?));
        let public = bind_public(&settings).await?;
        if public.is_empty() {
            return Err(BrokerError::NoListener);
        }
        let internal = door::bind((Ipv4Addr::LOCALHOST, 0).into(), "the gateway itself").await?;
        let internal_address = address_of(&internal, "the gateway itself")?;
        let mut addresses = Vec::with_capacity(public.len());
        for (protocol, listener, _) in &public {
            let address = address_of(listener, protocol)?;
            info!(%address, "broker: listening for {protocol}");
            addresses.push((*protocol, address));
        }
        let broker = Self {
            engine: Arc::new(Engine::open(&settings.data_dir, &settings.limits).await?),
            auth,
            addresses,
            internal_address,
            internal_password: Secret::new(format!("{:032x}", rand::random::<u128>())),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        broker.open_doors(&settings, tap, public, internal);
        Ok(broker)
    }

    fn open_doors(&self, settings: &Settings, tap: Tap, public: Vec<Listening>, internal: TcpListener) {
        let limits = &settings.limits;
        let public_auth: Arc<dyn AuthProvider> = self.auth.clone();
        let shared = Arc::new(Shared::new(tap));
        let door = self.door(public_auth, limits, Arc::clone(&shared), limits.max_clients);
        for (_, listener, handshake) in public {
            self.connections.spawn(Arc::clone(&door).keep(listener, handshake));
        }
        let internal_auth = Arc::new(InternalAuth::new(self.internal_password.clone()));
        let door = self.door(internal_auth, limits, shared, INTERNAL_ROOM);
        self.connections.spawn(door.keep(internal, door::plain()));
        let (engine, stop) = (Arc::clone(&self.engine), self.stop.clone());
        self.connections.spawn(async move { engine.sweep(stop).await });
    }

    fn door(
        &self,
        auth: Arc<dyn AuthProvider>,
        limits: &Limits,
        shared: Arc<Shared>,
        room: usize,
    ) -> Arc<Door> {
        Arc::new(Door {
            engine: Arc::clone(&self.engine),
            auth,
            config: client_config(limits),
            shared,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            connections: self.connections.clone(),
            stop: self.stop.clone(),
            cut: self.cut.clone(),
            full: LogLimit::default(),
        })
    }

    /// What it listens on for clients: protocol (`mqtt`, `websocket`, `mqtt over TLS`, `websocket over TLS`) and
    /// address, with the port that the system chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
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

async fn bind_public(settings: &Settings) -> Result<Vec<Listening>, BrokerError> {
    let mut listening: Vec<Listening> = Vec::new();
    let mut add = async |protocol, address: Option<SocketAddr>, handshake| {
        if let Some(address) = address {
            listening.push((protocol, door::bind(address, protocol).await?, handshake));
        }
        Ok::<_, BrokerError>(())
    };
    add("mqtt", settings.listen, door::plain()).await?;
    add("websocket", settings.websocket, door::websocket()).await?;
    if let Some(tls) = &settings.tls {
        add("mqtt over TLS", tls.listen, door::tls(tls).await?).await?;
        add("websocket over TLS", tls.websocket, door::websocket_tls(tls).await?).await?;
    }
    Ok(listening)
}

fn address_of(listener: &TcpListener, protocol: &'static str) -> Result<SocketAddr, BrokerError> {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    listener.local_addr().map_err(|source| BrokerError::Bind { address: unknown, protocol, source })
}
