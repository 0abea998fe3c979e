//! The LoRaWAN adapters.

use std::sync::Arc;

use adapters::lorawan::config::{CrcPolicy, LorawanConfig};
use adapters::lorawan::{KnownDevice, LorawanAdapter, Settings, device};
use gateway_core::AdapterId;
use gateway_core::settings::Secret;
use lorawan_link::Region;

use super::{BuildError, CodecTable, failed};
use crate::config::model::Config;
use crate::supervisor::Blueprint;

/// `[adapters.lorawan.<name>]`.
pub(super) fn blueprint(
    config: &Config,
    name: &str,
    lorawan: &LorawanConfig,
    codecs: &mut CodecTable,
) -> Result<Blueprint, BuildError> {
    let id = AdapterId::new("lorawan", name);
    let key = format!("adapters.{id}");
    let region = region(&key, lorawan)?;
    let networks = lorawan.networks.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let settings = Settings {
        listen: lorawan.listen,
        networks: networks.map_err(|error| failed(format!("{key}.networks"), &error))?,
        link: link(&key, lorawan, region)?,
        devices: devices(config, region, codecs)?,
        sessions: config.gateway.data_dir.join("lorawan.db"),
    };
    // The debug form has everything but the keys.
    let keys = config.devices.values().filter_map(|device| device.lorawan.as_ref());
    let keys = keys.flat_map(|device| [&device.app_key, &device.nwk_skey, &device.app_skey]);
    let keys = keys.flatten().map(Secret::expose).collect::<Vec<_>>();
    let fingerprint = super::adapters::fingerprint(&format!("{lorawan:?} {:?} {keys:?}", settings.devices));
    let make_id = id.clone();
    let make = Box::new(move || Box::new(LorawanAdapter::new(make_id.clone(), settings.clone())) as _);
    Ok(Blueprint { id, fingerprint, make })
}

fn region(key: &str, lorawan: &LorawanConfig) -> Result<Region, BuildError> {
    lorawan
        .region
        .map(Region::from)
        .ok_or_else(|| BuildError { key: format!("{key}.region"), reason: "missing".to_owned() })
}

fn link(key: &str, lorawan: &LorawanConfig, region: Region) -> Result<lorawan_link::Settings, BuildError> {
    let net_id = lorawan.net_id.parse().map_err(|error| failed(format!("{key}.net_id"), &error))?;
    let allowed = lorawan.gateways.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let allowed = allowed.map_err(|error| failed(format!("{key}.gateways"), &error))?;
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
    config: &Config,
    region: Region,
    codecs: &mut CodecTable,
) -> Result<Arc<[KnownDevice]>, BuildError> {
    let mut devices = Vec::new();
    for (name, device) in &config.devices {
        let Some(lorawan) = &device.lorawan else { continue };
        let key = || format!("devices.{name}.lorawan");
        let config_of = device::read(lorawan, region).map_err(|problems| {
            let reasons = problems.into_iter().map(|problem| format!("{} {}", problem.key, problem.reason));
            BuildError { key: key(), reason: reasons.collect::<Vec<_>>().join("; ") }
        })?;
        let timezone = config.gateway.timezone.as_deref();
        let codec = device.codec.as_deref().map(|codec| codecs.of_device(codec, timezone)).transpose()?;
        devices.push(KnownDevice { name: name.clone(), config: config_of, codec });
    }
    devices.sort_unstable_by_key(|known| known.config.dev_eui);
    Ok(devices.into())
}
