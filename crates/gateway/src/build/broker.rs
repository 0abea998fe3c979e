//! The embedded broker: its listeners, users and limits.

use gateway_config::Config;
use gateway_core::settings::{BuildError, ByteSize};

/// The embedded broker.
pub(crate) fn broker(
    config: &broker::config::Config,
    gateway: &Config,
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
    let id = gateway.gateway.id();
    let bridge = |(name, bridge): (&String, _)| broker::BridgeSettings::new(name, bridge, &id);
    let bridges = config.bridges.iter().map(bridge).collect::<Result<_, _>>()?;
    Ok(broker::Settings {
        listen: config.listen,
        websocket: config.websocket,
        socket: config.socket.clone(),
        tls,
        anonymous: config.anonymous,
        anonymous_publish: config.anonymous_publish.clone(),
        anonymous_subscribe: config.anonymous_subscribe.clone(),
        user_from_certificate: config.user_from_certificate,
        users,
        data_dir: gateway.gateway.data_dir.join("broker"),
        sync_every: gateway.journal.sync_every.0,
        limits: limits(config),
        bridges,
    })
}

fn limits(config: &broker::config::Config) -> broker::Limits {
    let bytes = |size: ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
    let keep_alive = config.max_keep_alive.map(|longest| longest.0.as_secs());
    broker::Limits {
        max_packet_size: u32::try_from(config.max_packet_size.0).unwrap_or(u32::MAX),
        max_payload_size: config.max_payload_size.map_or(usize::MAX, bytes),
        max_clients: config.max_clients,
        max_in_flight: config.max_in_flight,
        max_queue_size: bytes(config.max_queue_size),
        max_memory: bytes(config.max_memory),
        max_retained_size: bytes(config.max_retained_size),
        max_sessions: config.max_sessions,
        max_subscriptions: config.max_subscriptions,
        max_keep_alive: keep_alive.map(|seconds| u16::try_from(seconds).unwrap_or(u16::MAX)),
        session_expiry: config.session_expiry.0,
        connect_timeout: config.connect_timeout.0,
        packet_timeout: config.packet_timeout.0,
        max_connect_memory: bytes(config.max_connect_memory),
        max_connects_per_second: config.max_connects_per_second,
        retain: config.retain,
    }
}

fn broker_password(name: &str, user: &broker::config::User) -> Result<broker::PasswordSource, BuildError> {
    let key = format!("broker.users.{name}");
    // A text that looks like a hash is one, wherever it stands.
    match user.password_hash.as_ref().or(user.password.as_ref()) {
        Some(text) => {
            broker::PasswordSource::from_text(text.expose()).map_err(|error| BuildError::new(key, &error))
        }
        // `check` has refused one where users do not come with certificates.
        None => Ok(broker::PasswordSource::None),
    }
}
