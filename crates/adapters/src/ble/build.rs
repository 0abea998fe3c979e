//! The Bluetooth adapters, and the keys of the devices that encrypt.

use std::collections::BTreeMap;
use std::sync::Arc;

use ble_link::{RadioOptions, SimulatedRadio, Uuid};
use codecs::ble::{Address, BindKey, Keys, patterns};
use gateway_core::settings::{BuildError, Secret};
use gateway_core::{AdapterId, DeviceAddress, fingerprint};

use super::config::{BleConfig, Listening, ScanMode};
use super::kind::Ble;
use super::{BleAdapter, ConnectionPlan, DevicePlan, IntakeOptions, ReceptionMap, Settings};
use crate::kind::{Blueprint, BuildContext, Configured};
use crate::site::Site;

pub(super) fn blueprint(
    id: &AdapterId,
    ble: &BleConfig,
    all: &Configured<Ble>,
    context: &mut BuildContext<'_>,
) -> Result<Blueprint, BuildError> {
    let addresses = context.site.devices.iter().map(|(name, device)| Site::address(name, device));
    let scanning = all.adapters.values().filter(|other| other.scan != ScanMode::Off);
    let intake = IntakeOptions {
        adapter: id.clone(),
        codec: context.codecs.id("ble", &[], None)?,
        known: Arc::new(addresses.map(|address| DeviceAddress::canonical(address).into_owned()).collect()),
        only_known: ble.devices == Listening::Known,
        alone: scanning.count() < 2,
        left_after: ble.left_after.0,
        receptions: context.services.shared::<ReceptionMap>(),
    };
    let plan = plan(id, ble, context)?;
    let radio = RadioOptions {
        adapter: ble.adapter.clone(),
        scan: ble.scan.into(),
        patterns: patterns(),
        silent_after: ble.quiet_after.0,
        simulated: context.services.get::<SimulatedRadio>(),
    };
    let text = format!("{ble:?} {:?} {} {:?}", intake.known, intake.alone, plan.devices);
    let settings = Settings { radio, intake, plan };
    Ok(Blueprint::new(id, &text, move |id| BleAdapter::new(id, settings.clone())))
}

/// The devices of `connect`.
fn plan(
    id: &AdapterId,
    ble: &BleConfig,
    context: &mut BuildContext<'_>,
) -> Result<ConnectionPlan, BuildError> {
    let BuildContext { site, codecs, .. } = context;
    let timezone = site.timezone;
    let mut devices = Vec::new();
    for connect in &ble.connect {
        let at = || format!("adapters.{id}.connect");
        let uuid = |text: &str| text.parse::<Uuid>().map_err(|error| BuildError::new(at(), &error));
        let mut own = BTreeMap::new();
        for (characteristic, codec) in &connect.codecs {
            own.insert(uuid(characteristic)?, codecs.of_device(codec, timezone)?);
        }
        devices.push(DevicePlan {
            address: connect.address.to_ascii_uppercase().into(),
            service: connect.service.as_deref().map(uuid).transpose()?,
            every: connect.every.0,
            codecs: own,
        });
    }
    Ok(ConnectionPlan { devices, max_connections: ble.max_connections, codec: codecs.id("gatt", &[], None)? })
}

/// The keys of all devices, and a fingerprint of them.
///
/// # Errors
/// If a key or an address is one that the checks refuse.
pub fn keys(all: &Configured<Ble>, site: &Site<'_>) -> Result<(Keys, u64), BuildError> {
    let (mut keys, mut text) = (Keys::new(), String::new());
    for (name, device_keys) in &all.devices {
        let Some(key) = device_keys.bindkey.as_ref().map(Secret::expose) else { continue };
        let at = || format!("devices.{name}.bindkey");
        let address = site.devices.get(name).map_or(name.as_str(), |device| Site::address(name, device));
        let address: Address = address.parse().map_err(|error| BuildError::new(at(), &error))?;
        let bind_key: BindKey = key.parse().map_err(|error| BuildError::new(at(), &error))?;
        keys.insert(address, bind_key);
        text.push_str(&format!("{address:?} {key} "));
    }
    Ok((keys, fingerprint(&text)))
}
