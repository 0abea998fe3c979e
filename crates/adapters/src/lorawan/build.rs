//! The LoRaWAN adapters.

use std::sync::Arc;

use gateway_core::AdapterId;
use gateway_core::settings::{BuildError, Secret};
use lorawan_link::Region;

use super::config::{CrcPolicy, LorawanConfig};
use super::kind::Lorawan;
use super::{KnownDevice, LorawanAdapter, Settings, device};
use crate::kind::{Blueprint, BuildContext, Configured};

pub(super) fn blueprint(
    id: &AdapterId,
    lorawan: &LorawanConfig,
    all: &Configured<Lorawan>,
    context: &mut BuildContext<'_>,
) -> Result<Blueprint, BuildError> {
    let key = format!("adapters.{id}");
    let region = region(&key, lorawan)?;
    let networks = lorawan.networks.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let settings = Settings {
        listen: lorawan.listen,
        networks: networks.map_err(|error| BuildError::new(format!("{key}.networks"), &error))?,
        link: link(&key, lorawan, region)?,
        devices: devices(all, region, context)?,
        sessions: context.site.data_dir.join("lorawan.db"),
    };
    // The debug form has everything but the keys.
    let keys = all.devices.values().filter_map(|keys| keys.lorawan.as_ref());
    let keys = keys.flat_map(|device| [&device.app_key, &device.nwk_skey, &device.app_skey]);
    let keys = keys.flatten().map(Secret::expose).collect::<Vec<_>>();
    let text = format!("{lorawan:?} {:?} {keys:?}", settings.devices);
    Ok(Blueprint::new(id, &text, move |id| LorawanAdapter::new(id, settings.clone())))
}

fn region(key: &str, lorawan: &LorawanConfig) -> Result<Region, BuildError> {
    lorawan
        .region
        .map(Region::from)
        .ok_or_else(|| BuildError { key: format!("{key}.region"), reason: "missing".to_owned() })
}

fn link(key: &str, lorawan: &LorawanConfig, region: Region) -> Result<lorawan_link::Settings, BuildError> {
    let net_id = lorawan.net_id.parse().map_err(|error| BuildError::new(format!("{key}.net_id"), &error))?;
    let allowed = lorawan.gateways.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let allowed = allowed.map_err(|error| BuildError::new(format!("{key}.gateways"), &error))?;
    Ok(lorawan_link::Settings {
        net_id,
        allowed_gateways: (!lorawan.gateways.is_empty()).then_some(allowed),
        accept_missing_crc: lorawan.crc == CrcPolicy::Optional,
        dedup: lorawan.dedup.0,
        adr: lorawan.adr,
        sub_band: lorawan.sub_band.map(|number| number.saturating_sub(1)),
        antenna_gain: lorawan.antenna_gain,
        ..lorawan_link::Settings::new(region)
    })
}

/// All devices with `lorawan`, in the order of their DevEUIs.
fn devices(
    all: &Configured<Lorawan>,
    region: Region,
    context: &mut BuildContext<'_>,
) -> Result<Arc<[KnownDevice]>, BuildError> {
    let mut devices = Vec::new();
    for (name, keys) in &all.devices {
        let Some(lorawan) = &keys.lorawan else { continue };
        let key = || format!("devices.{name}.lorawan");
        let config_of = device::read(lorawan, region).map_err(|problems| {
            let reasons = problems.into_iter().map(|problem| format!("{} {}", problem.key, problem.reason));
            BuildError { key: key(), reason: reasons.collect::<Vec<_>>().join("; ") }
        })?;
        let site = context.site;
        let codec = site.devices.get(name).and_then(|device| device.codec.as_deref());
        let codec = codec.map(|codec| context.codecs.of_device(codec, site.timezone)).transpose()?;
        devices.push(KnownDevice { name: name.clone(), config: config_of, codec });
    }
    devices.sort_unstable_by_key(|known| known.config.dev_eui);
    Ok(devices.into())
}
