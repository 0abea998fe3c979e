//! All public listeners: opens each configured address at once if possible. An address that cannot be bound (the port is
//! taken, the machine does not have the address yet) is tried again as long as the broker runs.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credentials::CurrentCertificate;
use gateway_core::{Backoff, Condition, chain};
use tokio::net::{TcpListener, TcpSocket};
use tracing::{info, warn};

use crate::entrance::{Entrance, Transport, bind_unix};
use crate::{BrokerError, Settings};

/// Short, because mostly a person stops the program that took the port, and should not have to wait.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A configured address.
pub(crate) struct Endpoint {
    protocol: &'static str,
    address: SocketAddr,
    transport: Transport,
}

/// All configured addresses.
pub(crate) fn endpoints(
    settings: &Settings,
    current: Option<&Arc<CurrentCertificate>>,
) -> Result<Vec<Endpoint>, BrokerError> {
    let mut all: Vec<Endpoint> = Vec::new();
    let mut add = |protocol, address: Option<SocketAddr>, transport| {
        all.extend(address.map(|address| Endpoint { protocol, address, transport }));
    };
    add("mqtt", settings.listen, Transport::Plain);
    add("websocket", settings.websocket, Transport::WebSocket);
    if let (Some(settings), Some(current)) = (&settings.tls, current) {
        add("mqtt over TLS", settings.listen, Transport::Tls(Arc::clone(current)));
        add("websocket over TLS", settings.websocket, Transport::TlsWebSocket(Arc::clone(current)));
    }
    if all.is_empty() && settings.socket.is_none() { Err(BrokerError::NoListener) } else { Ok(all) }
}

/// The listeners that are open, and those that could not be opened, with the error.
#[derive(Debug)]
pub(crate) struct Listeners {
    state: Mutex<State>,
    condition: Condition,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<(&'static str, SocketAddr)>,
    failed: BTreeMap<&'static str, String>,
}

/// Connections that wait to be accepted, at most; the system may allow fewer. Clients whose first packet finds no room
/// try again a second later.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier process do not hold the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listeners {
    /// Opens all that can be opened; tries the others again in tasks.
    pub(crate) async fn open(all: Vec<Endpoint>, shared: &Arc<Entrance>, condition: Condition) -> Arc<Self> {
        let listeners = Arc::new(Self { state: Mutex::default(), condition });
        let mut failed = Vec::new();
        for endpoint in all {
            match listeners.bind(&endpoint).await {
                Ok(listener) => {
                    shared.connections.spawn(Arc::clone(shared).run(listener, endpoint.transport));
                }
                Err(()) => failed.push(endpoint),
            }
        }
        for endpoint in failed {
            shared.connections.spawn(Arc::clone(&listeners).retry(endpoint, Arc::clone(shared)));
        }
        listeners
    }

    /// Opens the Unix socket. A path that cannot be used is reported, and not tried again: nothing else frees it.
    pub(crate) fn open_socket(&self, path: &std::path::Path, shared: &Arc<Entrance>) {
        match bind_unix(path) {
            Ok(listener) => {
                info!(path = %path.display(), "broker: listening on a Unix socket");
                shared.connections.spawn(Arc::clone(shared).run_unix(listener));
            }
            Err(error) => {
                let why = format!("the broker cannot listen on {}: {error}", path.display());
                warn!("{why}");
                self.state().failed.insert("socket", why);
                self.report();
            }
        }
    }

    pub(crate) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.state().open.clone()
    }

    async fn retry(self: Arc<Self>, endpoint: Endpoint, shared: Arc<Entrance>) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let listener = loop {
            let pause = tokio::time::sleep(backoff.next_wait(rand::random()));
            if shared.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Ok(listener) = self.bind(&endpoint).await {
                break listener;
            }
        };
        shared.run(listener, endpoint.transport).await;
    }

    async fn bind(&self, Endpoint { protocol, address, .. }: &Endpoint) -> Result<TcpListener, ()> {
        let bound = async {
            let failed = |source| BrokerError::Bind { address: *address, protocol, source };
            let listener = listen(*address).map_err(failed)?;
            Ok::<_, BrokerError>((listener.local_addr().map_err(failed)?, listener))
        };
        match bound.await {
            Ok((address, listener)) => {
                info!(%address, "broker: listening for {protocol}");
                {
                    let mut state = self.state();
                    state.failed.remove(protocol);
                    state.open.push((protocol, address));
                }
                self.report();
                Ok(listener)
            }
            Err(error) => {
                let why = chain(&error);
                // Once per reason, not at every attempt.
                let before = self.state().failed.insert(protocol, why.clone());
                if before.as_ref() != Some(&why) {
                    warn!("{why}; trying again until it works");
                    self.report();
                }
                Err(())
            }
        }
    }

    fn report(&self) {
        // Reported under the lock, so that the last report is the current state.
        let state = self.state();
        let failed: Vec<&str> = state.failed.values().map(String::as_str).collect();
        if failed.is_empty() { self.condition.up() } else { self.condition.down(failed.join("; ")) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
