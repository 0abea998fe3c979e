//! What a bridge is opened with.

use std::time::Duration;

use gateway_core::settings::BuildError;
use mqtt_link::settings::credentials;
use mqtt_link::{Options, Session, Tls};

use super::config::Bridge;
use super::topics::TopicMap;

/// How long the other broker keeps messages for us while it is out of reach.
const SESSION_EXPIRY: Duration = Duration::from_hours(24 * 7);
/// More than this no broker's message has that ours takes: a larger one ends the connection.
const MAX_PACKET: u32 = 16 << 20;

/// A bridge to another broker.
#[derive(Debug, Clone)]
pub struct BridgeSettings {
    pub(crate) name: String,
    pub(crate) link: Options,
    pub(crate) topics: TopicMap,
    pub(crate) queue_bytes: usize,
}

impl BridgeSettings {
    /// The bridge `[broker.bridges.<name>]` of the gateway with the id `gateway`.
    ///
    /// # Errors
    /// The url is invalid, which the check of the configuration reports.
    pub fn new(name: &str, bridge: &Bridge, gateway: &str) -> Result<Self, BuildError> {
        let key = format!("broker.bridges.{name}.url");
        let url = bridge.url.parse().map_err(|error| BuildError::new(key, &error))?;
        let default_id = || format!("riser-{gateway}-{name}");
        let mut link = Options::new(url, bridge.client_id.clone().unwrap_or_else(default_id));
        link.protocol = bridge.protocol;
        link.credentials = credentials(bridge.username.as_ref(), bridge.password.as_ref());
        link.tls = Tls {
            ca_file: bridge.ca_file.clone(),
            cert_file: bridge.cert_file.clone(),
            key_file: bridge.key_file.clone(),
        };
        link.keep_alive = bridge.keep_alive.0;
        link.session = Session::Persistent { expiry: SESSION_EXPIRY };
        link.max_packet_size = MAX_PACKET;
        link.is_bridge = true;
        Ok(Self {
            name: name.to_owned(),
            link,
            topics: TopicMap::new(&bridge.topics),
            queue_bytes: usize::try_from(bridge.max_queue_size.0).unwrap_or(usize::MAX),
        })
    }

    /// Its client id at this broker.
    pub(crate) fn local_client(&self) -> String {
        format!("{}{}", super::CLIENT_PREFIX, self.name)
    }
}
