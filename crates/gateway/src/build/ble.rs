//! The Bluetooth adapters, and the keys of the devices that encrypt.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapters::ble::config::{BleConfig, Listening, ScanMode};
use adapters::ble::{BleAdapter, Followed, Listener, Plan, Settings};
use ble_link::{Options, Speaker, Uuid};
use codecs::ble::{Address, BindKey, Keys, patterns};
use gateway_core::settings::Secret;
use gateway_core::{AdapterId, DeviceAddress};

use super::{BuildError, CodecTable, failed};
use crate::config::model::Config;
use crate::supervisor::Blueprint;

/// `[adapters.ble.<name>]`.
pub(super) fn blueprint(
    config: &Config,
    name: &str,
    ble: &BleConfig,
    codecs: &mut CodecTable,
    speaker: Option<&Speaker>,
) -> Result<Blueprint, BuildError> {
    let id = AdapterId::new("ble", name);
    let addresses = config.devices.iter().map(|(name, device)| device.address.as_ref().unwrap_or(name));
    let listening = config.adapters.ble.values().filter(|other| other.scan != ScanMode::Off);
    let listener = Listener {
        adapter: id.clone(),
        codec: codecs.id("ble", &[], None)?,
        known: Arc::new(addresses.map(|address| DeviceAddress::canonical(address).into_owned()).collect()),
        only_known: ble.devices == Listening::Known,
        alone: listening.count() < 2,
        left_after: ble.left_after.0,
        air: codecs.air(),
    };
    let plan = plan(config, name, ble, codecs)?;
    let radio = Options {
        adapter: ble.adapter.clone(),
        scan: ble.scan.into(),
        patterns: patterns(),
        quiet: ble.quiet_after.0,
        speaker: speaker.cloned(),
    };
    let fingerprint = super::adapters::fingerprint(&format!(
        "{ble:?} {:?} {} {:?}",
        listener.known, listener.alone, plan.devices
    ));
    let settings = Settings { radio, listener, plan };
    let make_id = id.clone();
    let make = Box::new(move || Box::new(BleAdapter::new(make_id.clone(), settings.clone())) as _);
    Ok(Blueprint { id, fingerprint, make })
}

/// Who is connected to.
fn plan(config: &Config, name: &str, ble: &BleConfig, codecs: &mut CodecTable) -> Result<Plan, BuildError> {
    let timezone = config.gateway.timezone.as_deref();
    let mut devices = Vec::new();
    for connect in &ble.connect {
        let at = || format!("adapters.ble.{name}.connect");
        let uuid = |text: &str| text.parse::<Uuid>().map_err(|error| failed(at(), &error));
        let mut own = BTreeMap::new();
        for (characteristic, codec) in &connect.codecs {
            own.insert(uuid(characteristic)?, codecs.of_device(codec, timezone)?);
        }
        devices.push(Followed {
            address: connect.address.to_ascii_uppercase().into(),
            service: connect.service.as_deref().map(uuid).transpose()?,
            every: connect.every.0,
            codecs: own,
        });
    }
    Ok(Plan { devices, max_connections: ble.max_connections, codec: codecs.id("gatt", &[], None)? })
}

/// The keys of all devices, and what tells these from others.
pub(crate) fn keys(config: &Config) -> Result<(Keys, u64), BuildError> {
    let (mut keys, mut all) = (Keys::new(), String::new());
    for (name, device) in &config.devices {
        let Some(key) = device.bindkey.as_ref().map(Secret::expose) else { continue };
        let at = || format!("devices.{name}.bindkey");
        let address = device.address.as_ref().unwrap_or(name);
        let address: Address = address.parse().map_err(|error| failed(at(), &error))?;
        let bind_key: BindKey = key.parse().map_err(|error| failed(at(), &error))?;
        keys.insert(address, bind_key);
        all.push_str(&format!("{address:?} {key} "));
    }
    Ok((keys, super::adapters::fingerprint(&all)))
}
