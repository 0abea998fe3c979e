//! `[adapters.ble.*]`, and the keys of `[devices.*]`.

use std::collections::BTreeMap;
use std::time::Duration;

use ble_link::gatt::MAX_VALUE;
use ble_link::{Backend, Uuid};
use codecs::Codec;
use codecs::ble::{Address, BindKey};
use codecs::check::{check_file, check_format};
use codecs::javascript::Engine;
use gateway_core::findings::{KeyPath, Report, quoted};
use gateway_core::settings::{Device, Secret};

use super::config::{BleConfig, Connect, DeviceKeys, Listening, ScanMode};
use super::kind::Ble;
use crate::kind::{Action, Configured};
use crate::site::Site;

/// Shorter times would end between two advertisements, or read without a pause.
const MIN_DURATION: Duration = Duration::from_secs(1);
/// The most devices of one adapter.
const MAX_CONNECTED: usize = 256;

pub(super) fn check(report: &mut Report, all: &Configured<Ble>, site: &Site<'_>) {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (name, ble) in &all.adapters {
        let table = KeyPath::of("adapters.ble").key(name);
        check_adapter(report, &table, ble);
        check_connect(report, &table, ble);
        if let Some(first) = taken.insert(ble.adapter.to_ascii_lowercase(), name) {
            let first = KeyPath::of("adapters.ble").key(first);
            report
                .error(&table.key("adapter"), format!("{} is that of {first} already", quoted(&ble.adapter)));
        }
        if ble.devices == Listening::Known
            && site.devices.is_empty()
            && report.is_whole(&KeyPath::of("devices"))
        {
            report.warning(&table.key("devices"), "receives nothing: there is no [devices.*]");
        }
    }
    for (name, keys) in &all.devices {
        check_key(report, &KeyPath::of("devices").key(name), keys, (name, site.devices.get(name)));
    }
}

fn check_adapter(report: &mut Report, table: &KeyPath, ble: &BleConfig) {
    let number = ble.adapter.strip_prefix("hci").unwrap_or_default();
    let is_name = !number.is_empty() && number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_address(&ble.adapter) && !is_name {
        report.error(
            &table.key("adapter"),
            "is no Bluetooth adapter; write its name, such as \"hci0\", or its address (`bluetoothctl list`)",
        );
    }
    if ble.scan == ScanMode::Passive && !Backend::chosen().can_scan_passively() {
        report.error(&table.key("scan"), "is not possible with btleplug; write \"active\"");
    }
    for (key, value) in [("left_after", ble.left_after), ("quiet_after", ble.quiet_after)] {
        if value.0 < MIN_DURATION {
            report.error(&table.key(key), "is out of range; allowed: from \"1s\"");
        }
    }
}

/// The devices of `connect`.
fn check_connect(report: &mut Report, table: &KeyPath, ble: &BleConfig) {
    if ble.scan == ScanMode::Off && ble.connect.is_empty() && report.is_whole(&table.key("connect")) {
        report.warning(
            &table.key("scan"),
            "is off, and `connect` names no device: there is nothing to do but commands",
        );
    }
    let list = table.key("connect");
    if ble.connect.len() > MAX_CONNECTED {
        report.error(
            &list,
            format!("has more than {MAX_CONNECTED} entries; use a second adapter for the rest"),
        );
    }
    for (i, connect) in ble.connect.iter().enumerate() {
        let entry = list.index(i);
        check_address(report, &entry.key("address"), &connect.address);
        let is_same = |earlier: &Connect| earlier.address.eq_ignore_ascii_case(&connect.address);
        if ble.connect.iter().take(i).any(is_same) {
            let address = quoted(&connect.address);
            report.error(&entry.key("address"), format!("{address} is there twice; leave one out"));
        }
        if let Some(Err(error)) = connect.service.as_deref().map(str::parse::<Uuid>) {
            report.error(&entry.key("service"), error.to_string());
        }
        if connect.every.0 < MIN_DURATION {
            report.error(&entry.key("every"), "is out of range; allowed: from \"1s\"");
        }
        for (uuid, codec) in &connect.codecs {
            check_codec_of(report, &entry.key("codecs").key(uuid), uuid, codec);
        }
    }
}

/// With colons, as bluetoothd writes it.
fn is_address(text: &str) -> bool {
    text.contains(':') && text.parse::<Address>().is_ok()
}

fn check_address(report: &mut Report, key: &KeyPath, address: &str) {
    if !is_address(address) {
        let address = quoted(address);
        report.error(key, format!("{address} is no Bluetooth address; write it as \"A4:C1:38:8D:18:B2\""));
    }
}

/// The codec of a characteristic: a format, or a table of fields.
fn check_codec_of(report: &mut Report, key: &KeyPath, uuid: &str, codec: &str) {
    if let Err(error) = uuid.parse::<Uuid>() {
        report.error(key, error.to_string());
    }
    if !Codec::is_file(codec) {
        if check_format(report, key, codec) && codec == "csv" {
            report.error(key, "csv needs columns; a characteristic has none");
        }
        return;
    }
    if !codec.ends_with(".toml") {
        report
            .error(key, "scripts read whole devices; describe a characteristic by a table of fields (.toml)");
        return;
    }
    check_file(report, key, codec, &Engine::default());
}

/// An action for a characteristic.
pub(super) fn check_action(report: &mut Report, action: &Action<'_, Ble>, site: &Site<'_>) {
    let table = &action.path;
    match &action.target.device {
        Some(text) => {
            let address =
                site.find_device(text).map_or(text.as_str(), |(name, device)| Site::address(name, device));
            check_address(report, &table.key("device"), address);
        }
        None => report.missing(table, "device", "missing; write the name of a device, or its address"),
    }
    match action.target.characteristic.as_deref().map(str::parse::<Uuid>) {
        Some(Ok(_)) => {}
        Some(Err(error)) => report.error(&table.key("characteristic"), error.to_string()),
        None => report.missing(table, "characteristic", "missing; write its UUID, such as \"2a56\""),
    }
    match text_or_hex(action.payload).map(|bytes| bytes.len()) {
        None => report.error(&table.key("payload"), "write an even number of hex digits behind hex:"),
        Some(bytes) if bytes > MAX_VALUE => {
            let text = format!("is {bytes} bytes for the device; a characteristic has at most {MAX_VALUE}");
            report.error(&table.key("payload"), text);
        }
        Some(_) => {}
    }
}

/// The bytes of a text, or of `hex:…`; `None` if the digits are invalid.
pub(super) fn text_or_hex(payload: &str) -> Option<Vec<u8>> {
    match payload.trim().strip_prefix("hex:") {
        Some(digits) => hex::decode(digits.trim()).ok(),
        None => Some(payload.as_bytes().to_vec()),
    }
}

fn check_key(
    report: &mut Report,
    table: &KeyPath,
    keys: &DeviceKeys,
    (name, device): (&str, Option<&Device>),
) {
    let Some(key) = keys.bindkey.as_ref().map(Secret::expose) else { return };
    let at = table.key(if keys.bindkey_file.is_some() { "bindkey_file" } else { "bindkey" });
    if let Err(error) = key.parse::<BindKey>() {
        report.error(&at, error.to_string());
    }
    let address = device.map_or(name, |device| Site::address(name, device));
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
