//! `[devices.*]`: each address means one device.

use std::collections::BTreeMap;

use gateway_core::DeviceAddress;
use gateway_core::findings::{KeyPath, Report, quoted};
use gateway_core::settings::Device;

use crate::model::Config;

pub(super) fn check(report: &mut Report, config: &Config) {
    check_addresses(report, &config.devices);
    for (name, device) in &config.devices {
        check_device(report, &KeyPath::of("devices").key(name), name, device);
    }
    codecs::check::check_devices(report, config.devices.iter());
    codecs::check::check_node_keys(report, config.devices.iter());
    if config.devices.len() > config.gateway.max_devices as usize {
        report.error(
            &KeyPath::of("gateway.max_devices"),
            format!("is less than the {} tables in [devices]; write more", config.devices.len()),
        );
    }
}

fn check_addresses(report: &mut Report, devices: &BTreeMap<String, Device>) {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (name, device) in devices {
        let address = device.address.as_deref().unwrap_or(name);
        if let Some(first) = taken.insert(comparable(address), name) {
            let table = KeyPath::of("devices").key(name);
            let key = if device.address.is_some() { table.key("address") } else { table };
            let first = KeyPath::of("devices").key(first);
            report.error(
                &key,
                format!("{} is the address of {first} too; each device needs its own", quoted(address)),
            );
        }
    }
}

/// MACs and DevEUIs are compared without case, and however their bytes are separated; other names as they are.
fn comparable(address: &str) -> String {
    let bytes: String = address.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let hex = matches!(bytes.len(), 12 | 16) && bytes.chars().all(|c| c.is_ascii_hexdigit());
    if hex { bytes.to_ascii_lowercase() } else { address.to_owned() }
}

fn check_device(report: &mut Report, table: &KeyPath, name: &str, device: &Device) {
    let address = device.address.as_deref().unwrap_or(name);
    if DeviceAddress::new(name).is_none() {
        report.error(table, format!("the name must have 1 to {} bytes", DeviceAddress::MAX_BYTES));
    } else if DeviceAddress::new(address).is_none() {
        report.error(&table.key("address"), format!("must have 1 to {} bytes", DeviceAddress::MAX_BYTES));
    }
    if let Some(zone) = &device.zone
        && (zone.is_empty() || zone.split('/').any(str::is_empty))
    {
        report.error(
            &table.key("zone"),
            "has an empty level; write levels with / between, such as \"floor-1/lounge\"",
        );
    }
    check_renames(report, &table.key("rename"), &device.rename);
    for (metric, calibration) in &device.calibrate {
        let key = table.key("calibrate").key(metric);
        if calibration.scale == 0.0 {
            report.error(&key.key("scale"), "0 would make every value the same; 1 leaves it as it is");
        }
        if device.rename.contains_key(metric) {
            report.warning(&key, "is the name before `rename`; calibrate goes by the new name");
        }
    }
}

fn check_renames(report: &mut Report, table: &KeyPath, rename: &BTreeMap<String, String>) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (from, to) in rename {
        if to.is_empty() {
            report.error(&table.key(from), "the new name is empty");
        } else if let Some(other) = taken.insert(to, from) {
            report.error(&table.key(from), format!("{} gets the name {} too", quoted(other), quoted(to)));
        }
    }
}
