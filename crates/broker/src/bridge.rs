//! Bridges: each exchanges messages with another broker, at QoS 1.
//!
//! Guarantees:
//! - A message for the other broker waits in a session of this one, over restarts and power cuts as other sessions do,
//!   until the other broker has acknowledged it. What does not fit into `max_queue_size` is dropped and counted.
//! - A message of the other broker is acknowledged to it when it is where a client's message must be: then it is as safe
//!   here as any.
//! - With MQTT 5 nothing that the bridge publishes at a broker comes back to it.

pub(crate) mod check;
pub(crate) mod config;
mod exchange;
mod local;
mod settings;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::Condition;
use mqtt_link::{Duplex, Qos};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use settings::BridgeSettings;

use crate::hub::Hub;
use exchange::Exchange;
use local::LocalSide;

/// What the client ids of bridges begin with, at this broker. No other client may have one.
const CLIENT_PREFIX: &str = "riser-internal-bridge-";
/// Pause before both connections are made anew after a trouble here.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// Why both connections of a bridge must be made anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble(pub(crate) &'static str);

/// Ends the sessions of bridges that are not configured any more.
pub(crate) fn end_old_sessions(hub: &Arc<Hub>, bridges: &[BridgeSettings]) {
    let needed: Vec<String> = bridges.iter().map(BridgeSettings::local_client).collect();
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    hub.with(|engine, now| engine.end_internal_sessions(CLIENT_PREFIX, &needed, now));
}

/// A bridge that is running.
pub(crate) struct Bridge {
    hub: Arc<Hub>,
    settings: BridgeSettings,
    condition: Condition,
    local: Result<LocalSide, Trouble>,
}

impl Bridge {
    /// Opens its session, so that messages wait for the other broker from now on.
    pub(crate) fn open(hub: &Arc<Hub>, settings: BridgeSettings, condition: Condition) -> Self {
        let local = LocalSide::open(hub, &settings, true);
        Self { hub: Arc::clone(hub), settings, condition, local }
    }

    /// Exchanges messages until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { hub, settings, condition, mut local } = self;
        let name = settings.name.clone();
        let filters = settings.topics.remote_filters().into_iter().map(|one| (one, Qos::AtLeastOnce));
        let filters: Vec<_> = filters.collect();
        loop {
            let trouble = match local {
                Err(trouble) => trouble,
                Ok(local) => {
                    let link = Duplex::start(settings.link.clone(), filters.clone());
                    let mut exchange = Exchange::new(&hub, &settings, &condition, local, link);
                    match stop.run_until_cancelled(exchange.run()).await {
                        Some(trouble) => trouble,
                        None => return exchange.end().await,
                    }
                }
            };
            let seconds = RESTART_PAUSE.as_secs();
            warn!(bridge = name, "broker: the bridge starts again in {seconds} s: {}", trouble.0);
            if stop.run_until_cancelled(sleep(RESTART_PAUSE)).await.is_none() {
                return;
            }
            local = LocalSide::open(&hub, &settings, false);
        }
    }
}
