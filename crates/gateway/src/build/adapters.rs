//! The adapters: where each gets its messages, and which it wants.

use std::sync::Arc;

use adapters::mqtt::config::MqttConfig;
use adapters::mqtt::{MqttAdapter, NetworkServer, Route, Source, TopicFilter};
use broker::Tap;
use gateway_core::settings::Secret;
use gateway_core::{AdapterId, Latest};
use mqtt_link::Options;

use super::link::adapter_link;
use super::{BuildError, CodecTable, failed};
use crate::config::model::Config;
use crate::supervisor::{Blueprint, Make};

/// Where the embedded broker hands messages to the gateway's own adapters, and takes their commands.
#[derive(Debug, Clone)]
pub(crate) struct Embedded {
    pub(crate) tap: Tap,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) credentials: (String, Secret),
    /// How its listeners are doing.
    pub(crate) health: tokio::sync::watch::Receiver<gateway_core::AdapterHealth>,
}

/// All adapters of the configuration.
pub(crate) fn adapters(
    config: &Config,
    codecs: &mut CodecTable,
    embedded: Option<&Embedded>,
    latest: &Latest,
) -> Result<Vec<Blueprint>, BuildError> {
    let mut blueprints = Vec::new();
    for (name, mqtt) in &config.adapters.mqtt {
        let id = AdapterId::new("mqtt", name);
        let key = format!("adapters.{id}");
        let routes = routes(config, &key, mqtt, codecs)?;
        let link = adapter_link(config, name, mqtt, embedded)
            .map_err(|reason| BuildError { key: key.clone(), reason })?;
        // The debug form has everything but the password.
        let password = mqtt.password.as_ref().map_or("", Secret::expose);
        let fingerprint = fingerprint(&format!("{mqtt:?} {link:?} {routes:?} {password}"));
        let (make_id, source) = (id.clone(), source(mqtt, link, embedded));
        let make: Make =
            Box::new(move || Box::new(MqttAdapter::new(make_id.clone(), source.clone(), routes.clone())));
        blueprints.push(Blueprint { id, fingerprint, make });
    }
    for (name, coap) in &config.adapters.coap {
        blueprints.push(super::coap::blueprint(config, name, coap, codecs, latest)?);
    }
    for (name, lorawan) in &config.adapters.lorawan {
        blueprints.push(super::lorawan::blueprint(config, name, lorawan, codecs)?);
    }
    Ok(blueprints)
}

fn routes(
    config: &Config,
    key: &str,
    mqtt: &MqttConfig,
    codecs: &mut CodecTable,
) -> Result<Vec<Route>, BuildError> {
    let mut routes = Vec::new();
    for topic in &mqtt.topics {
        let filter = TopicFilter::parse(&topic.filter).map_err(|error| failed(key, &error))?;
        let codec = codecs.id(&topic.format, &topic.columns, config.gateway.timezone.as_deref())?;
        let server = NetworkServer::of_format(&topic.format);
        routes.push(Route { filter, codec, names_with_slashes: topic.format == "zigbee2mqtt", server });
    }
    Ok(routes)
}

fn source(mqtt: &MqttConfig, link: Options, embedded: Option<&Embedded>) -> Source {
    match embedded.filter(|_| mqtt.url.is_none()) {
        Some(embedded) => Source::Local { broker: Arc::new(embedded.tap.clone()), commands: link },
        None => Source::Remote(link),
    }
}

/// What each adapter wants of the embedded broker's messages.
pub(crate) fn wanted(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<Vec<(AdapterId, Vec<String>)>, BuildError> {
    let mut wanted = Vec::new();
    for (name, mqtt) in config.adapters.mqtt.iter().filter(|(_, mqtt)| mqtt.url.is_none()) {
        let id = AdapterId::new("mqtt", name);
        let routes = routes(config, &format!("adapters.{id}"), mqtt, codecs)?;
        wanted.push((id, adapters::mqtt::subscriptions(&routes)));
    }
    Ok(wanted)
}

pub(super) fn fingerprint(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().hash_one(text)
}
