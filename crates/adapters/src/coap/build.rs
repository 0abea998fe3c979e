//! The CoAP adapters.

use std::sync::Arc;

use gateway_core::AdapterId;
use gateway_core::settings::{BuildError, Secret};
use read_model::ReadModel;

use super::config::{CoapConfig, Psk};
use super::{CoapAdapter, Codecs, ConfiguredDevice, Holder, Names, Settings, build_client, key};
use crate::kind::{Blueprint, BuildContext};
use crate::site::Site;

pub(super) fn blueprint(
    id: &AdapterId,
    coap: &CoapConfig,
    context: &mut BuildContext<'_>,
) -> Result<Blueprint, BuildError> {
    let site = context.site;
    let mut codec = |format| context.codecs.id(format, &[], site.timezone);
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
        holders: holders(id, coap)?,
        multicast: coap.multicast,
        max_size: usize::try_from(coap.max_size.0).unwrap_or(usize::MAX),
        max_peers: coap.max_peers,
        max_observers: coap.max_observers,
        codecs,
        names: Arc::new(names(site)),
        client: build_client::client_settings(site, &format!("adapters.{id}"), coap)?,
    };
    // The debug form has everything but the keys, and the order of a map is by chance.
    let psk = coap.psk.values().map(|psk| &psk.key).chain(coap.servers.values().map(|server| &server.key));
    let keys = psk.flatten().map(Secret::expose).collect::<Vec<_>>();
    let devices = site.devices.iter();
    let devices = devices
        .map(|(name, device)| (name, &device.address, device.codec.is_some(), &device.rename))
        .collect::<Vec<_>>();
    let text = format!("{coap:?} {codecs:?} {devices:?} {keys:?}");
    let latest = context.services.shared::<ReadModel>();
    Ok(Blueprint::new(id, &text, move |id| CoapAdapter::new(id, settings.clone(), latest.clone())))
}

fn holders(id: &AdapterId, coap: &CoapConfig) -> Result<Vec<Holder>, BuildError> {
    let holder = |(identity, psk): (&String, &Psk)| {
        let path = format!("adapters.{id}.psk.{identity}");
        let text = psk.key.as_ref().ok_or_else(|| BuildError {
            key: path.clone(),
            reason: "has no key; set `key_file`".to_owned(),
        })?;
        let (key, _) = key::read(text).map_err(|error| BuildError::new(path, &error))?;
        Ok(Holder { identity: identity.clone(), key, devices: psk.devices.clone() })
    };
    coap.psk.iter().map(holder).collect()
}

fn names(site: &Site<'_>) -> Names {
    Names::new(site.devices.iter().map(|(name, device)| {
        let address = device.address.clone().unwrap_or_else(|| name.clone());
        let known = ConfiguredDevice {
            name: name.clone(),
            has_codec: device.codec.is_some(),
            rename: device.rename.clone(),
        };
        (address, known)
    }))
}
