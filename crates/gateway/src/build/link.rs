//! Connections to brokers: an adapter's, and the one to the cloud.

use std::time::Duration;

use adapters::mqtt::config::MqttConfig;
use gateway_core::settings::Secret;
use mqtt_link::{Options, Session, Tls};

use super::{BuildError, Embedded, failed};
use crate::config::model::Config;
use pipeline::decode::MAX_PAYLOAD;

/// How long a broker keeps what was published while the gateway was away.
const AWAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The connection of an adapter; `Err` says in words what is missing.
pub(super) fn adapter_link(
    config: &Config,
    name: &str,
    mqtt: &MqttConfig,
    embedded: Option<&Embedded>,
) -> Result<Options, String> {
    let default_id = || format!("riser-{}-{name}", config.gateway.id());
    let mut options = match (&mqtt.url, embedded) {
        (Some(url), _) => {
            let url = url.parse().map_err(|error| gateway_core::chain(&error))?;
            let mut options = Options::new(url, mqtt.client_id.clone().unwrap_or_else(default_id));
            options.credentials = credentials(mqtt.username.as_ref(), mqtt.password.as_ref());
            options
        }
        (None, Some(embedded)) => {
            let url = format!("mqtt://{}", embedded.address).parse().map_err(|e| gateway_core::chain(&e))?;
            let mut options = Options::new(url, format!("{}{name}", broker::INTERNAL_CLIENT_PREFIX));
            options.credentials = Some(embedded.credentials.clone());
            options
        }
        (None, None) => return Err("there is neither a `url` nor a [broker] to connect to".to_owned()),
    };
    options.protocol = mqtt.protocol;
    options.tls = Tls {
        ca_file: mqtt.ca_file.clone(),
        cert_file: mqtt.cert_file.clone(),
        key_file: mqtt.key_file.clone(),
    };
    options.keep_alive = mqtt.keep_alive.0;
    options.session = Session::Persistent { expiry: AWAY };
    // Somewhat more than is decoded, so that what is cut is counted as too large.
    options.max_packet_size = u32::try_from(MAX_PAYLOAD).unwrap_or(u32::MAX).saturating_add(1024);
    Ok(options)
}

/// The connection to the cloud.
pub(crate) fn upstream_link(
    config: &Config,
    upstream: &sinks::upstream_mqtt::config::Config,
) -> Result<Options, BuildError> {
    let url = upstream.url.parse().map_err(|error| failed("upstream.url", &error))?;
    let default_id = || format!("riser-{}", config.gateway.id());
    let mut options = Options::new(url, upstream.client_id.clone().unwrap_or_else(default_id));
    options.protocol = upstream.protocol;
    options.credentials = credentials(upstream.username.as_ref(), upstream.password.as_ref());
    options.tls = Tls {
        ca_file: upstream.ca_file.clone(),
        cert_file: upstream.cert_file.clone(),
        key_file: upstream.key_file.clone(),
    };
    options.keep_alive = upstream.keep_alive.0;
    Ok(options)
}

/// A user without a password has an empty one.
fn credentials(username: Option<&String>, password: Option<&Secret>) -> Option<(String, Secret)> {
    let password = password.cloned().unwrap_or_else(|| Secret::new(String::new()));
    username.map(|user| (user.clone(), password))
}
