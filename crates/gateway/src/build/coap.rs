//! The CoAP adapters.

use std::sync::Arc;

use adapters::coap::config::CoapConfig;
use adapters::coap::{CoapAdapter, Codecs, Holder, Known, Names, Settings, key};
use gateway_core::settings::Secret;
use gateway_core::{AdapterId, Latest};

use super::{BuildError, CodecTable, failed};
use crate::config::model::Config;
use crate::supervisor::Blueprint;

/// `[adapters.coap.<name>]`.
pub(super) fn blueprint(
    config: &Config,
    name: &str,
    coap: &CoapConfig,
    codecs: &mut CodecTable,
    latest: &Latest,
) -> Result<Blueprint, BuildError> {
    let id = AdapterId::new("coap", name);
    let timezone = config.gateway.timezone.as_deref();
    let mut codec = |format| codecs.id(format, &[], timezone);
    let codecs = Codecs {
        value: codec("value")?,
        json: codec("json")?,
        cbor: codec("cbor")?,
        senml: codec("senml")?,
        node: codec("node")?,
    };
    let settings = Settings {
        listen: coap.listen(),
        listen_dtls: coap.listen_dtls,
        holders: holders(&id, coap)?,
        multicast: coap.multicast,
        max_size: usize::try_from(coap.max_size.0).unwrap_or(usize::MAX),
        max_peers: coap.max_peers,
        max_observers: coap.max_observers,
        codecs,
        names: Arc::new(names(config)),
        client: super::coap_client::client_settings(config, &format!("adapters.{id}"), coap)?,
    };
    // The debug form has everything but the keys, and the order of a map is by chance.
    let psk = coap.psk.values().map(|psk| &psk.key).chain(coap.servers.values().map(|server| &server.key));
    let keys = psk.flatten().map(Secret::expose).collect::<Vec<_>>();
    let devices = config.devices.iter();
    let devices = devices
        .map(|(name, device)| (name, &device.address, device.codec.is_some(), &device.rename))
        .collect::<Vec<_>>();
    let fingerprint = super::adapters::fingerprint(&format!("{coap:?} {codecs:?} {devices:?} {keys:?}"));
    let (make_id, latest) = (id.clone(), latest.clone());
    let make =
        Box::new(move || Box::new(CoapAdapter::new(make_id.clone(), settings.clone(), latest.clone())) as _);
    Ok(Blueprint { id, fingerprint, make })
}

fn holders(id: &AdapterId, coap: &CoapConfig) -> Result<Vec<Holder>, BuildError> {
    let holder = |(identity, psk): (&String, &adapters::coap::config::Psk)| {
        let path = format!("adapters.{id}.psk.{identity}");
        let text = psk.key.as_ref().ok_or_else(|| BuildError {
            key: path.clone(),
            reason: "has no key; set `key_file`".to_owned(),
        })?;
        let (key, _) = key::read(text).map_err(|error| failed(path, &error))?;
        Ok(Holder { identity: identity.clone(), key, devices: psk.devices.clone() })
    };
    coap.psk.iter().map(holder).collect()
}

fn names(config: &Config) -> Names {
    Names::new(config.devices.iter().map(|(name, device)| {
        let address = device.address.clone().unwrap_or_else(|| name.clone());
        let known =
            Known { name: name.clone(), has_codec: device.codec.is_some(), rename: device.rename.clone() };
        (address, known)
    }))
}
