//! Builds an adapter from `[adapters.mqtt.*]`: its connection and its routes.

use std::sync::Arc;
use std::time::Duration;

use codecs::{CodecTable, MAX_PAYLOAD_BYTES};
use gateway_core::AdapterId;
use gateway_core::ports::LocalBroker;
use gateway_core::settings::{BuildError, Secret};
use mqtt_link::settings::credentials;
use mqtt_link::{Options, Session, Tls};

use super::adapter::{MqttAdapter, Source, subscriptions};
use super::config::MqttConfig;
use super::kind::Mqtt;
use super::{NetworkServer, Route, TopicFilter};
use crate::kind::{Blueprint, BuildContext, Configured};
use crate::site::Site;

/// How long a broker keeps messages while the gateway is not connected.
const SESSION_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The embedded broker, for adapters without a `url`.
#[derive(Clone)]
pub struct EmbeddedBroker(pub Arc<dyn LocalBroker>);

/// The topic filters of each adapter at the embedded broker.
///
/// # Errors
/// A filter or format is invalid.
pub fn embedded_subscriptions(
    all: &Configured<Mqtt>,
    site: &Site<'_>,
    codecs: &mut CodecTable,
) -> Result<Vec<(AdapterId, Vec<String>)>, BuildError> {
    let mut wanted = Vec::new();
    for (name, mqtt) in all.adapters.iter().filter(|(_, mqtt)| mqtt.url.is_none()) {
        let id = AdapterId::new("mqtt", name);
        let routes = routes(&format!("adapters.{id}"), mqtt, site, codecs)?;
        wanted.push((id, subscriptions(&routes)));
    }
    Ok(wanted)
}

pub(super) fn blueprint(
    id: &AdapterId,
    mqtt: &MqttConfig,
    context: &mut BuildContext<'_>,
) -> Result<Blueprint, BuildError> {
    let key = format!("adapters.{id}");
    let routes = routes(&key, mqtt, context.site, context.codecs)?;
    let password = mqtt.password.as_ref().map_or("", Secret::expose);
    let (source, link) = if mqtt.url.is_some() {
        let link = link(id, mqtt, context.site.gateway).map_err(|reason| BuildError { key, reason })?;
        // The debug form has everything but the password.
        let shown = format!("{link:?}");
        (Source::Remote(Box::new(link)), shown)
    } else {
        let Some(EmbeddedBroker(broker)) = context.services.get::<EmbeddedBroker>() else {
            let reason = "there is neither a `url` nor a [broker] to connect to".to_owned();
            return Err(BuildError { key, reason });
        };
        (Source::Local(broker), String::new())
    };
    let settings = format!("{mqtt:?} {link} {routes:?} {password}");
    Ok(Blueprint::new(id, &settings, move |id| MqttAdapter::new(id, source.clone(), routes.clone())))
}

fn routes(
    key: &str,
    mqtt: &MqttConfig,
    site: &Site<'_>,
    codecs: &mut CodecTable,
) -> Result<Vec<Route>, BuildError> {
    let mut routes = Vec::new();
    for topic in &mqtt.topics {
        let filter = TopicFilter::parse(&topic.filter).map_err(|error| BuildError::new(key, &error))?;
        let codec = codecs.id(&topic.format, &topic.columns, site.timezone)?;
        let server = NetworkServer::of_format(&topic.format);
        routes.push(Route { filter, codec, names_with_slashes: topic.format == "zigbee2mqtt", server });
    }
    Ok(routes)
}

/// The connection's options; `Err` is a text for the user.
fn link(id: &AdapterId, mqtt: &MqttConfig, gateway: &str) -> Result<Options, String> {
    let name = id.as_str().split_once('.').map_or("", |(_, name)| name);
    let url = mqtt.url.as_deref().unwrap_or_default().parse().map_err(|error| gateway_core::chain(&error))?;
    let default_id = || format!("riser-{gateway}-{name}");
    let mut options = Options::new(url, mqtt.client_id.clone().unwrap_or_else(default_id));
    options.credentials = credentials(mqtt.username.as_ref(), mqtt.password.as_ref());
    options.protocol = mqtt.protocol;
    options.tls = Tls {
        ca_file: mqtt.ca_file.clone(),
        cert_file: mqtt.cert_file.clone(),
        key_file: mqtt.key_file.clone(),
    };
    options.keep_alive = mqtt.keep_alive.0;
    options.session = Session::Persistent { expiry: SESSION_EXPIRY };
    // Slightly more than the decoder accepts, so that larger messages arrive and are counted as too large.
    options.max_packet_size = u32::try_from(MAX_PAYLOAD_BYTES).unwrap_or(u32::MAX).saturating_add(1024);
    Ok(options)
}
