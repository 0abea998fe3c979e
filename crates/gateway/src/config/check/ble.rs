//! `[adapters.ble.*]`, and the keys of `[devices.*]`.

use std::collections::BTreeMap;
use std::time::Duration;

use adapters::ble::config::{BleConfig, Listening};
use codecs::ble::{Address, BindKey};
use gateway_core::settings::Secret;

use crate::config::key_path::{KeyPath, quoted};
use crate::config::model::{Config, Device};
use crate::config::report::Report;

/// Shorter times would tell of what is only between two advertisements.
const SHORTEST: Duration = Duration::from_secs(1);

pub(super) fn check(report: &mut Report, config: &Config) {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (name, ble) in &config.adapters.ble {
        let table = KeyPath::of("adapters.ble").key(name);
        check_adapter(report, &table, ble);
        if let Some(first) = taken.insert(ble.adapter.to_ascii_lowercase(), name) {
            let first = KeyPath::of("adapters.ble").key(first);
            report
                .error(&table.key("adapter"), format!("{} is that of {first} already", quoted(&ble.adapter)));
        }
        if ble.devices == Listening::Known
            && config.devices.is_empty()
            && report.is_whole(&KeyPath::of("devices"))
        {
            report.warning(&table.key("devices"), "hears nobody: there is no [devices.*]");
        }
    }
    for (name, device) in &config.devices {
        check_key(report, &KeyPath::of("devices").key(name), name, device);
    }
}

fn check_adapter(report: &mut Report, table: &KeyPath, ble: &BleConfig) {
    let is_address = ble.adapter.parse::<Address>().is_ok() && ble.adapter.contains(':');
    let number = ble.adapter.strip_prefix("hci").unwrap_or_default();
    let is_name = !number.is_empty() && number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_address && !is_name {
        report.error(
            &table.key("adapter"),
            "is no Bluetooth adapter; write its name, such as \"hci0\", or its address (`bluetoothctl list`)",
        );
    }
    for (key, value) in [("left_after", ble.left_after), ("quiet_after", ble.quiet_after)] {
        if value.0 < SHORTEST {
            report.error(&table.key(key), "is out of range; allowed: from \"1s\"");
        }
    }
}

fn check_key(report: &mut Report, table: &KeyPath, name: &str, device: &Device) {
    let Some(key) = device.bindkey.as_ref().map(Secret::expose) else { return };
    let at = table.key(if device.bindkey_file.is_some() { "bindkey_file" } else { "bindkey" });
    if let Err(error) = key.parse::<BindKey>() {
        report.error(&at, error.to_string());
    }
    let address = device.address.as_deref().unwrap_or(name);
    if address.parse::<Address>().is_err() {
        report.error(
            &at,
            format!(
                "needs the Bluetooth `address` of the device, such as \"A4:C1:38:8D:18:B2\"; {} is none",
                quoted(address)
            ),
        );
    }
}
