//! What a CoAP adapter asks of devices.

use std::sync::Arc;

use coap_link::Identity;
use coap_link::dtls::Credentials;
use gateway_core::DeviceAddress;
use gateway_core::settings::BuildError;

use super::client::url::{CoapUrl, UrlError};
use super::client::{ClientSettings, Follow, Servers};
use super::config::CoapConfig;
use super::key;
use crate::site::Site;

/// The address that a name in `servers` stands for.
pub(super) fn server_url(name: &str) -> Result<CoapUrl, UrlError> {
    let url: CoapUrl = format!("coaps://{name}").parse()?;
    if url.path().is_empty() && url.query().is_empty() { Ok(url) } else { Err(UrlError::Host) }
}

/// `observe` and `servers` of the adapter at `key`.
pub(super) fn client_settings(
    site: &Site<'_>,
    key: &str,
    coap: &CoapConfig,
) -> Result<ClientSettings, BuildError> {
    let mut servers = Servers::default();
    for (name, server) in &coap.servers {
        let place = format!("{key}.servers.{name}");
        let url = server_url(name).map_err(|error| BuildError::new(&place, &error))?;
        let identity = Identity::from(server.identity.as_str());
        let text = server.key.as_ref().ok_or_else(|| BuildError {
            key: place.clone(),
            reason: "has no key; set `key_file`".to_owned(),
        })?;
        let (secret, _) = key::read(text).map_err(|error| BuildError::new(&place, &error))?;
        let credentials =
            Credentials::new(identity.clone(), secret).map_err(|error| BuildError::new(&place, &error))?;
        servers.insert(&url, identity, credentials);
    }
    let mut follow = Vec::new();
    for observe in &coap.observe {
        let key = format!("{key}.observe");
        let url: CoapUrl = observe.url.parse().map_err(|error: UrlError| BuildError::new(&key, &error))?;
        let device = DeviceAddress::new(&observe.device).ok_or_else(|| BuildError {
            key: key.clone(),
            reason: "a device's name is empty or too long".to_owned(),
        })?;
        follow.push(Follow {
            name: Arc::from(observe.url.as_str()),
            url: Arc::new(url),
            device,
            metric: observe.metric.as_deref().map(Box::from),
            every: observe.every.0,
            has_codec: has_codec(site, &observe.device),
        });
    }
    Ok(ClientSettings { follow, servers })
}

fn has_codec(site: &Site<'_>, device: &str) -> bool {
    let is_it = |(name, known): (&String, &gateway_core::settings::Device)| {
        known.codec.is_some() && known.address.as_ref().unwrap_or(name) == device
    };
    site.devices.iter().any(is_it)
}
