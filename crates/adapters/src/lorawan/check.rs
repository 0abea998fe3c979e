//! `[adapters.lorawan.*]`, and `lorawan` of `[devices.*]`.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::findings::{KeyPath, Report, quoted};
use gateway_core::suggest::did_you_mean;
use lorawan_link::{Eui, NetId, Region};

use super::config::{LorawanConfig, RegionName};
use super::kind::Lorawan;
use super::{Network, device};
use crate::downlink;
use crate::kind::{Action, Configured};
use crate::site::Site;

/// A device that has the shortest delay listens a second after its frame.
const LONGEST_DEDUP: Duration = Duration::from_millis(500);

pub(super) fn check(report: &mut Report, all: &Configured<Lorawan>, site: &Site<'_>) {
    let adapters = &all.adapters;
    for (i, (name, lorawan)) in adapters.iter().enumerate() {
        let table = KeyPath::of("adapters.lorawan").key(name);
        if i > 0 {
            report.error(&table, "there is another one already; all forwarders of a building send to one");
        }
        check_adapter(report, &table, lorawan);
    }
    check_devices(report, all, site);
    let has_devices = all.devices.values().any(|keys| keys.lorawan.is_some());
    if let Some((name, _)) = adapters.first_key_value()
        && !has_devices
        && report.is_whole(&KeyPath::of("devices"))
    {
        let table = KeyPath::of("adapters.lorawan").key(name);
        report.warning(&table, "receives nothing: no [devices.*] has `lorawan` with a DevEUI and keys");
    }
}

fn check_adapter(report: &mut Report, table: &KeyPath, lorawan: &LorawanConfig) {
    if lorawan.region.is_none() && report.is_whole(&table.key("region")) {
        report.missing(table, "region", "missing; write EU868, US915, AU915, AS923 or IN865");
    }
    if let Err(error) = lorawan.net_id.parse::<NetId>() {
        report.error(&table.key("net_id"), error.to_string());
    }
    for (i, text) in lorawan.gateways.iter().enumerate() {
        if let Err(error) = text.parse::<Eui>() {
            report.error(&table.key("gateways").index(i), error.to_string());
        }
    }
    for (i, text) in lorawan.networks.iter().enumerate() {
        if let Err(error) = text.parse::<Network>() {
            report.error(&table.key("networks").index(i), error.to_string());
        }
    }
    if lorawan.dedup.0 > LONGEST_DEDUP {
        report.error(&table.key("dedup"), "is out of range; allowed: up to \"500ms\"");
    }
    let has_sub_bands = matches!(lorawan.region, Some(RegionName::Us915 | RegionName::Au915));
    if lorawan.sub_band.is_some() && !has_sub_bands {
        report.error(&table.key("sub_band"), "is for US915 and AU915");
    }
    let open = lorawan.gateways.is_empty() && lorawan.networks.is_empty();
    if !lorawan.listen.ip().is_loopback() && open {
        report.warning(
            &table.key("listen"),
            format!(
                "any host that reaches {} may pass for a packet forwarder; write `networks` or `gateways`",
                lorawan.listen
            ),
        );
    }
}

fn check_devices(report: &mut Report, all: &Configured<Lorawan>, site: &Site<'_>) {
    let region = all.adapters.values().find_map(|lorawan| lorawan.region);
    let region = region.map_or(Region::Eu868, Region::from);
    let mut taken: BTreeMap<Eui, &str> = BTreeMap::new();
    for (name, keys) in &all.devices {
        let Some(lorawan) = &keys.lorawan else { continue };
        let table = KeyPath::of("devices").key(name).key("lorawan");
        for problem in device::read(lorawan, region).err().into_iter().flatten() {
            match problem {
                device::Problem { key: "", reason, .. } => report.error(&table, reason),
                device::Problem { key, reason, missing: true } => report.missing(&table, key, reason),
                device::Problem { key, reason, missing: false } => report.error(&table.key(key), reason),
            }
        }
        if let Ok(dev_eui) = lorawan.dev_eui.parse::<Eui>()
            && let Some(first) = taken.insert(dev_eui, name)
        {
            let first = KeyPath::of("devices").key(first);
            report.error(&table.key("dev_eui"), format!("{dev_eui} is the DevEUI of {first} too"));
        }
        if site.devices.get(name).is_some_and(|device| device.codec.is_none()) {
            report.warning(
                &KeyPath::of("devices").key(name),
                "has no `codec`: only the link quality of its frames is known, not their content",
            );
        }
        if all.adapters.is_empty() && report.is_whole(&KeyPath::of("adapters")) {
            report.warning(&table, "is not used: there is no [adapters.lorawan.*]");
        }
    }
}

/// An action for a device of our own.
pub(super) fn check_action(
    report: &mut Report,
    action: &Action<'_, Lorawan>,
    all: &Configured<Lorawan>,
    site: &Site<'_>,
) {
    let Some(text) = &action.target.device else {
        report.missing(&action.path, "device", "missing; write the name of a device that has `lorawan`");
        return;
    };
    check_device_exists(report, &action.path.key("device"), text, all);
    let Some(keys) = action.downlink(site) else { return };
    downlink::check(report, &action.path, &keys, site.find_device(text).map(|(_, device)| device));
}

fn check_device_exists(report: &mut Report, key: &KeyPath, text: &str, all: &Configured<Lorawan>) {
    let devices = || all.devices.iter().filter_map(|(name, keys)| Some((name, keys.lorawan.as_ref()?)));
    let is_there = devices().any(|(name, lorawan)| name == text || lorawan.has_dev_eui(text));
    if !is_there && report.is_whole(&KeyPath::of("devices")) {
        let meant = did_you_mean(text, devices().map(|(name, _)| name.as_str()));
        report.error(key, format!("{} is no device with `lorawan`{meant}", quoted(text)));
    }
}
