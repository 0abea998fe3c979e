//! The embedded broker: its listeners, users and limits.

use std::path::Path;

use gateway_core::settings::BuildError;

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
        Some(text) => {
            broker::PasswordSource::from_text(text.expose()).map_err(|error| BuildError::new(key, &error))
        }
        None => Err(BuildError {
            key,
            reason: "has no password; set `password_file` or `password_hash`".to_owned(),
        }),
    }
}
