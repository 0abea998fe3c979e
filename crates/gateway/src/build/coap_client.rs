//! What a CoAP adapter asks of devices.

use std::sync::Arc;

use adapters::coap::client::url::{CoapUrl, UrlError};
use adapters::coap::client::{ClientSettings, Codecs, Follow, Servers};
use adapters::coap::config::CoapConfig;
use coap_link::Identity;
use coap_link::dtls::{Credentials, Key};
use gateway_core::DeviceAddress;
use gateway_core::settings::Secret;

use super::{BuildError, CodecTable, failed};

/// The address that a name in `servers` stands for.
pub(crate) fn server_url(name: &str) -> Result<CoapUrl, UrlError> {
    format!("coaps://{name}/").parse()
}

/// `observe` and `servers` of the adapter at `key`.
pub(super) fn client_settings(
    key: &str,
    coap: &CoapConfig,
    codecs: &mut CodecTable,
    timezone: Option<&str>,
) -> Result<ClientSettings, BuildError> {
    let mut servers = Servers::default();
    for (name, server) in &coap.servers {
        let key = format!("{key}.servers.{name}");
        let url = server_url(name).map_err(|error| failed(&key, &error))?;
        let identity = Identity::from(server.identity.as_str());
        let secret = psk(server.key.as_ref()).map_err(|error| failed(&key, &error))?;
        let credentials = Credentials::new(identity.clone(), secret).map_err(|error| failed(&key, &error))?;
        servers.insert(&url, identity, credentials);
    }
    let mut follow = Vec::new();
    for observe in &coap.observe {
        let key = format!("{key}.observe");
        let url: CoapUrl = observe.url.parse().map_err(|error: UrlError| failed(&key, &error))?;
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
        });
    }
    let mut codec = |name| codecs.id(name, &[], timezone);
    let codecs =
        Codecs { value: codec("value")?, json: codec("json")?, cbor: codec("cbor")?, senml: codec("senml")? };
    let max_size = usize::try_from(coap.max_size.0).unwrap_or(usize::MAX);
    Ok(ClientSettings { follow, servers, codecs, max_size })
}

/// A key as it is written: text, or `hex:…`.
fn psk(key: Option<&Secret>) -> Result<Key, coap_link::dtls::KeyError> {
    let text = key.map_or("", Secret::expose);
    Key::new(text.as_bytes().to_vec())
}
