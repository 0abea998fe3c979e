//! `[devices.*]`: each address means one device.

use std::collections::{BTreeMap, BTreeSet};

use codecs::Codec;
use codecs::javascript::Engine;
use gateway_core::DeviceAddress;

use super::adapters::check_codec;
use crate::codec_file;
use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::{Config, Device};
use crate::config::report::Report;

pub(super) fn check(report: &mut Report, config: &Config) {
    check_addresses(report, &config.devices);
    for (name, device) in &config.devices {
        check_device(report, &KeyPath::of("devices").key(name), name, device);
    }
    check_codec_files(report, &config.devices);
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
    if let Some(codec) = device.codec.as_ref().filter(|codec| !Codec::is_file(codec))
        && check_codec(report, &table.key("codec"), codec)
        && codec == "csv"
    {
        report.error(&table.key("codec"), "csv needs columns: write it as an adapter's format");
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

/// What is wrong with a file is told once, at the first device that names it.
fn check_codec_files(report: &mut Report, devices: &BTreeMap<String, Device>) {
    let engine = Engine::default();
    let mut seen = BTreeSet::new();
    for (name, device) in devices {
        let Some(file) = device.codec.as_deref().filter(|codec| Codec::is_file(codec)) else { continue };
        if !seen.insert(file) {
            continue;
        }
        let key = KeyPath::of("devices").key(name).key("codec");
        for problem in codec_file::load(file, &engine).err().unwrap_or_default() {
            report.error(&key, problem.replace(char::is_control, "\u{fffd}"));
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
