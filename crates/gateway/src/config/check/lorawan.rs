//! `[adapters.lorawan.*]`, and `lorawan` of `[devices.*]`.

use std::collections::BTreeMap;
use std::time::Duration;

use adapters::lorawan::Network;
use adapters::lorawan::config::{LorawanConfig, RegionName};
use adapters::lorawan::device;
use lorawan_link::{Eui, NetId, Region};

use super::broker::clash;
use super::coap_listeners;
use crate::config::key_path::KeyPath;
use crate::config::model::Config;
use crate::config::report::Report;

/// A device that has the shortest delay listens a second after its frame.
const LONGEST_DEDUP: Duration = Duration::from_millis(500);

pub(super) fn check(report: &mut Report, config: &Config) {
    let adapters = &config.adapters.lorawan;
    for (i, (name, lorawan)) in adapters.iter().enumerate() {
        let table = KeyPath::of("adapters.lorawan").key(name);
        if i > 0 {
            report.error(&table, "there is another one already; all forwarders of a building send to one");
        }
        check_adapter(report, &table, lorawan);
        check_clashes(report, &table, lorawan, config);
    }
    check_devices(report, config);
    let has_devices = config.devices.values().any(|device| device.lorawan.is_some());
    if let Some((name, _)) = adapters.first_key_value()
        && !has_devices
        && report.is_whole(&KeyPath::of("devices"))
    {
        let table = KeyPath::of("adapters.lorawan").key(name);
        report.warning(&table, "hears nobody: no [devices.*] has `lorawan` with a DevEUI and keys");
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
                "whoever reaches {} may pass for a packet forwarder; write `networks` or `gateways`",
                lorawan.listen
            ),
        );
    }
}

fn check_clashes(report: &mut Report, table: &KeyPath, lorawan: &LorawanConfig, config: &Config) {
    for (name, coap) in &config.adapters.coap {
        for (key, there) in coap_listeners(coap) {
            if clash(there, lorawan.listen) {
                let other = KeyPath::of("adapters.coap").key(name).key(key);
                let here = lorawan.listen;
                report.error(
                    &table.key("listen"),
                    format!("{here} clashes with {other}, {there}; give each its own port"),
                );
            }
        }
    }
}

fn check_devices(report: &mut Report, config: &Config) {
    let region = config.adapters.lorawan.values().find_map(|lorawan| lorawan.region);
    let region = region.map_or(Region::Eu868, Region::from);
    let mut taken: BTreeMap<Eui, &str> = BTreeMap::new();
    for (name, device) in &config.devices {
        let Some(lorawan) = &device.lorawan else { continue };
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
        if device.codec.is_none() {
            report.warning(
                &KeyPath::of("devices").key(name),
                "has no `codec`: of its frames only how they were heard is known, not what they say",
            );
        }
        if config.adapters.lorawan.is_empty() && report.is_whole(&KeyPath::of("adapters")) {
            report.warning(&table, "is not used: there is no [adapters.lorawan.*]");
        }
    }
}
