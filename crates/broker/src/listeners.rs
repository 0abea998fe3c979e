//! The addresses that clients connect to: what can be listened on is, at once; what cannot (a port that is taken, an
//! address that the machine does not have yet) is tried again for as long as the broker runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::{Backoff, Condition, chain};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::door::{self, Door, Handshake};
use crate::{BrokerError, Settings};

/// Whoever took the port is mostly stopped by a person, who should not have to wait.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An address that clients are to find open.
pub(crate) struct Wanted {
    protocol: &'static str,
    address: SocketAddr,
    handshake: Handshake,
}

/// What the settings ask for.
pub(crate) async fn wanted(settings: &Settings) -> Result<Vec<Wanted>, BrokerError> {
    let mut all: Vec<Wanted> = Vec::new();
    let mut want = |protocol, address: Option<SocketAddr>, handshake| {
        all.extend(address.map(|address| Wanted { protocol, address, handshake }));
    };
    want("mqtt", settings.listen, door::plain());
    want("websocket", settings.websocket, door::websocket());
    if let Some(tls) = &settings.tls {
        want("mqtt over TLS", tls.listen, door::tls(tls).await?);
        want("websocket over TLS", tls.websocket, door::websocket_tls(tls).await?);
    }
    if all.is_empty() { Err(BrokerError::NoListener) } else { Ok(all) }
}

/// Which are open, which are not and why.
#[derive(Debug)]
pub(crate) struct Listeners {
    state: Mutex<State>,
    condition: Condition,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<(&'static str, SocketAddr)>,
    shut: BTreeMap<&'static str, String>,
}

impl Listeners {
    /// Opens what can be opened; the rest is tried again in tasks of the door.
    pub(crate) async fn open(all: Vec<Wanted>, door: &Arc<Door>, condition: Condition) -> Arc<Self> {
        let listeners = Arc::new(Self { state: Mutex::default(), condition });
        let mut shut = Vec::new();
        for wanted in all {
            match listeners.bind(&wanted).await {
                Ok(listener) => {
                    door.connections.spawn(Arc::clone(door).keep(listener, wanted.handshake));
                }
                Err(()) => shut.push(wanted),
            }
        }
        for wanted in shut {
            door.connections.spawn(Arc::clone(&listeners).keep_trying(wanted, Arc::clone(door)));
        }
        listeners
    }

    pub(crate) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.state().open.clone()
    }

    async fn keep_trying(self: Arc<Self>, wanted: Wanted, door: Arc<Door>) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let listener = loop {
            let pause = tokio::time::sleep(backoff.next_wait(rand::random()));
            if door.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Ok(listener) = self.bind(&wanted).await {
                break listener;
            }
        };
        door.keep(listener, wanted.handshake).await;
    }

    async fn bind(&self, Wanted { protocol, address, .. }: &Wanted) -> Result<TcpListener, ()> {
        let bound = async {
            let listener = door::bind(*address, protocol).await?;
            Ok::<_, BrokerError>((door::address_of(&listener, protocol)?, listener))
        };
        match bound.await {
            Ok((address, listener)) => {
                info!(%address, "broker: listening for {protocol}");
                {
                    let mut state = self.state();
                    state.shut.remove(protocol);
                    state.open.push((protocol, address));
                }
                self.tell();
                Ok(listener)
            }
            Err(error) => {
                let why = chain(&error);
                // Once for each reason, not at every attempt.
                let before = self.state().shut.insert(protocol, why.clone());
                if before.as_ref() != Some(&why) {
                    warn!("{why}; trying again until it works");
                    self.tell();
                }
                Err(())
            }
        }
    }

    fn tell(&self) {
        // Told under the lock, so that what is told last is what is so.
        let state = self.state();
        let shut: Vec<&str> = state.shut.values().map(String::as_str).collect();
        if shut.is_empty() { self.condition.up() } else { self.condition.down(shut.join("; ")) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
