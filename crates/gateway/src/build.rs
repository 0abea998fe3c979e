//! From what the configuration says to what runs: settings of the engine, codecs, devices, adapters, brokers.
//!
//! Everything here is a plain translation of a configuration that has been checked; nothing is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters::mqtt::config::MqttConfig;
use adapters::mqtt::{MqttAdapter, Route, Source, TopicFilter};
use broker::Tap;
use codecs::Codec;
use gateway_core::settings::Secret;
use gateway_core::{AdapterId, CodecId};
use mqtt_link::{Options, Session, Tls};

use crate::config::model::{Alert, Config, UnknownDevices};
use crate::pipeline::Reconfiguration;
use crate::pipeline::actions::Action;
use crate::pipeline::decode::MAX_PAYLOAD;
use crate::pipeline::directory::{DeviceRules, Directory};
use crate::pipeline::engine::Settings;
use crate::pipeline::judging::Judging;
use crate::supervisor::{Blueprint, Make};

/// How long a broker keeps what was published while the gateway was away.
const AWAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// A configuration that passed its checks and still cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub(crate) struct BuildError {
    pub(crate) key: String,
    pub(crate) reason: String,
}

fn failed(key: impl Into<String>, error: &dyn std::error::Error) -> BuildError {
    BuildError { key: key.into(), reason: crate::telemetry::chain(error) }
}

/// Where the outbox's file lies.
pub(crate) fn outbox_path(data_dir: &Path) -> PathBuf {
    data_dir.join("outbox.db")
}

/// What decides how readings are judged.
pub(crate) fn settings(config: &Config) -> Settings {
    let aggregate = &config.aggregate;
    Settings {
        windows: aggregator::Settings {
            length: aggregate.window.0,
            every: aggregate.every().0,
            lateness: aggregate.lateness.0,
            correct_for: aggregate.correct_for.0,
            max_future: aggregate.max_future.0,
            percentiles: aggregate.percentiles.clone(),
            by_zone: aggregate.by_zone,
        }
        .within_limits(),
        kinds: aggregate.metrics.iter().map(|(name, metric)| (name.clone(), metric.kind)).collect(),
        zones: config
            .devices
            .iter()
            .filter_map(|(name, device)| Some((name.clone(), device.zone.clone()?)))
            .collect(),
        rules: rules(config),
        upstream: config.upstream.is_some(),
        judging: config.anomaly.enabled.then(|| Judging { timezone: config.gateway.timezone().into() }),
    }
}

fn rules(config: &Config) -> Vec<alerts::Rule> {
    let written = config.alerts.iter().map(|(name, alert)| alerts::Rule::try_from(rule(name, alert)));
    let built_in = config.anomaly.enabled.then(|| alerts::Rule::anomaly(config.anomaly.threshold));
    let mut rules = Vec::new();
    for rule in written.chain(built_in) {
        match rule {
            Ok(rule) => rules.push(rule),
            // `check` has refused such a rule before anything was built.
            Err(problem) => tracing::error!("{problem}; this rule is left out"),
        }
    }
    rules
}

/// An `[alerts.*]` table in the words of the crate that judges.
pub(crate) fn rule(name: &str, alert: &Alert) -> alerts::RuleSpec {
    alerts::RuleSpec {
        name: name.into(),
        metric: alert.metric.clone(),
        when: alerts::Conditions {
            above: alert.above,
            below: alert.below,
            rises_by: alert.rises_by,
            falls_by: alert.falls_by,
            within: alert.within.unwrap_or_default().0,
            silent_for: alert.silent_for.map(|duration| duration.0),
            anomaly: alert.anomaly,
        },
        hold_for: alert.r#for.0,
        clear_by: alert.clear_by,
        severity: alert.severity,
        devices: alert.devices.clone(),
        zones: alert.zones.clone(),
    }
}

/// The codecs in use. It only grows: an uplink under way during a reload keeps its codec.
#[derive(Debug, Default)]
pub(crate) struct CodecTable {
    known: Vec<(CodecKey, Arc<Codec>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CodecKey {
    format: String,
    columns: Vec<String>,
    timezone: Option<String>,
}

impl CodecTable {
    fn id(
        &mut self,
        format: &str,
        columns: &[String],
        timezone: Option<&str>,
    ) -> Result<CodecId, BuildError> {
        let key = CodecKey {
            format: format.to_owned(),
            columns: columns.to_vec(),
            timezone: timezone.map(str::to_owned),
        };
        let index = match self.known.iter().position(|(known, _)| *known == key) {
            Some(index) => index,
            None => {
                let options =
                    codecs::Options { columns: key.columns.clone(), timezone: time_zone(timezone)? };
                let codec = Codec::by_name(format, &options).map_err(|error| failed(format, &error))?;
                self.known.push((key, Arc::new(codec)));
                self.known.len() - 1
            }
        };
        let id = u16::try_from(index).map_err(|error| failed("adapters", &error))?;
        Ok(CodecId(id))
    }

    /// All of them, by [`CodecId`].
    pub(crate) fn all(&self) -> Vec<Arc<Codec>> {
        self.known.iter().map(|(_, codec)| Arc::clone(codec)).collect()
    }
}

fn time_zone(name: Option<&str>) -> Result<jiff::tz::TimeZone, BuildError> {
    match name {
        Some(name) => jiff::tz::TimeZone::get(name).map_err(|error| failed("gateway.timezone", &error)),
        None => Ok(jiff::tz::TimeZone::system()),
    }
}

/// What a reload hands to the pipeline.
pub(crate) fn reconfiguration(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<Reconfiguration, BuildError> {
    Ok(Reconfiguration {
        settings: settings(config),
        directory: directory(config, codecs)?,
        codecs: codecs.all(),
        actions: actions(config),
        models: crate::models::load(&config.gateway.data_dir),
    })
}

fn directory(config: &Config, codecs: &mut CodecTable) -> Result<Directory, BuildError> {
    let timezone = config.gateway.timezone.as_deref();
    let mut devices = Vec::new();
    for (name, device) in &config.devices {
        let codec = match &device.codec {
            Some(codec) => Some(codecs.id(codec, &[], timezone)?),
            None => None,
        };
        let calibrate =
            device.calibrate.iter().map(|(metric, by)| (metric.clone(), (by.scale, by.offset))).collect();
        let address = device.address.clone().unwrap_or_else(|| name.clone());
        devices.push((
            address,
            DeviceRules { name: name.clone(), codec, rename: device.rename.clone(), calibrate },
        ));
    }
    let accept = config.gateway.unknown_devices == UnknownDevices::Accept;
    Ok(Directory::new(devices, accept, config.gateway.max_devices))
}

fn actions(config: &Config) -> BTreeMap<String, Vec<Action>> {
    let of = |alert: &Alert| {
        let one = |action: &crate::config::model::Action| Action {
            adapter: action.adapter.clone(),
            topic: action.topic.clone(),
            payload: action.payload.clone(),
        };
        alert.actions.iter().map(one).collect::<Vec<_>>()
    };
    config.alerts.iter().map(|(name, alert)| (name.clone(), of(alert))).collect()
}

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
        routes.push(Route { filter, codec, names_with_slashes: topic.format == "zigbee2mqtt" });
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

fn fingerprint(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().hash_one(text)
}

fn adapter_link(
    config: &Config,
    name: &str,
    mqtt: &MqttConfig,
    embedded: Option<&Embedded>,
) -> Result<Options, String> {
    let default_id = || format!("riser-{}-{name}", config.gateway.id());
    let mut options = match (&mqtt.url, embedded) {
        (Some(url), _) => {
            let url = url.parse().map_err(|error| crate::telemetry::chain(&error))?;
            let mut options = Options::new(url, mqtt.client_id.clone().unwrap_or_else(default_id));
            options.credentials = credentials(mqtt.username.as_ref(), mqtt.password.as_ref());
            options
        }
        (None, Some(embedded)) => {
            let url =
                format!("mqtt://{}", embedded.address).parse().map_err(|e| crate::telemetry::chain(&e))?;
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

/// A user without a password has an empty one.
fn credentials(username: Option<&String>, password: Option<&Secret>) -> Option<(String, Secret)> {
    let password = password.cloned().unwrap_or_else(|| Secret::new(String::new()));
    username.map(|user| (user.clone(), password))
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

/// How the outbox is kept.
pub(crate) fn outbox_options(config: &sinks::upstream_mqtt::config::Outbox) -> outbox::Options {
    use sinks::upstream_mqtt::config::WhenFull;
    outbox::Options {
        max_bytes: config.max_size.0,
        when_full: match config.when_full {
            WhenFull::DropOldest => outbox::WhenFull::DropOldest,
            WhenFull::DropNewest => outbox::WhenFull::DropNewest,
        },
        spill_after: config.spill_after.0,
    }
}

/// The embedded broker.
pub(crate) fn broker(
    config: &broker::config::Config,
    data_dir: &Path,
) -> Result<broker::Settings, BuildError> {
    let tls = match (&config.cert_file, &config.key_file) {
        (Some(cert_file), Some(key_file)) => Some(broker::Tls {
            listen: config.listen_tls,
            websocket: config.websocket_tls,
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            client_ca_file: config.ca_file.clone(),
        }),
        _ => None,
    };
    let mut users = Vec::new();
    for (name, user) in &config.users {
        users.push(broker::User {
            name: name.clone(),
            password: broker_password(name, user)?,
            publish: user.publish.clone(),
            subscribe: user.subscribe.clone(),
        });
    }
    Ok(broker::Settings {
        listen: config.listen,
        websocket: config.websocket,
        tls,
        anonymous: config.anonymous,
        users,
        data_dir: data_dir.join("broker"),
        limits: broker::Limits {
            max_packet_size: u32::try_from(config.max_packet_size.0).unwrap_or(u32::MAX),
            max_clients: config.max_clients,
            ..broker::Limits::default()
        },
    })
}

fn broker_password(name: &str, user: &broker::config::User) -> Result<broker::PasswordSource, BuildError> {
    let key = format!("broker.users.{name}");
    // A text that looks like a hash is one, wherever it stands.
    match user.password_hash.as_ref().or(user.password.as_ref()) {
        Some(text) => broker::PasswordSource::from_text(text.expose()).map_err(|error| failed(key, &error)),
        None => Err(BuildError {
            key,
            reason: "has no password; set `password_file` or `password_hash`".to_owned(),
        }),
    }
}
