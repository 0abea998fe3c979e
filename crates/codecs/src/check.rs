//! What a configuration may name as a format or a codec.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::findings::{KeyPath, Report, one_line, quoted};
use gateway_core::settings::{Device, Secret};
use gateway_core::suggest::did_you_mean;

use crate::ble::Kind;
use crate::javascript::Engine;
use crate::{Codec, NodeKey, Options, file};

/// Whether `name` is a built-in format; else an error at `key`.
pub fn check_format(report: &mut Report, key: &KeyPath, name: &str) -> bool {
    if Codec::NAMES.contains(&name) || Codec::is_ble_format(name) {
        return true;
    }
    if Codec::is_file(name) {
        report.error(key, "is a codec's file; name it as the `codec` of the [devices.*] tables that need it");
        return false;
    }
    let known = Codec::NAMES.iter().copied().chain(Kind::ALL.map(Kind::name));
    let meant = did_you_mean(name, known);
    let allowed = Codec::NAMES.join(", ");
    let text = format!("{} is no format; allowed: {allowed}, and those of docs/ble.md{meant}", quoted(name));
    report.error(key, text);
    false
}

/// Checks `format` and `columns` of `table`. Whether the format is one that there is.
pub fn check_format_and_columns(
    report: &mut Report,
    table: &KeyPath,
    format: &str,
    columns: &[String],
) -> bool {
    if !check_format(report, &table.key("format"), format) {
        return false;
    }
    let csv = format == "csv";
    if !csv && !columns.is_empty() {
        report.warning(&table.key("columns"), "is not used: only format = \"csv\" has columns");
    }
    let options = Options { columns: columns.to_vec(), ..Options::default() };
    if csv && let Err(error) = Codec::by_name(format, &options) {
        let text = one_line(&error.to_string());
        match columns.is_empty() {
            true => report.missing(table, "columns", text),
            false => report.error(&table.key("columns"), text),
        }
    }
    true
}

/// Checks the `codec` of each device. What is wrong with a file is reported once, at the first device that names it.
pub fn check_devices<'d>(report: &mut Report, devices: impl Iterator<Item = (&'d String, &'d Device)>) {
    let engine = Engine::default();
    let mut seen = BTreeSet::new();
    for (name, device) in devices {
        let Some(codec) = device.codec.as_deref() else { continue };
        let key = KeyPath::of("devices").key(name).key("codec");
        if !Codec::is_file(codec) {
            if check_format(report, &key, codec) && codec == "csv" {
                report.error(&key, "csv needs columns: write it as an adapter's format");
            }
        } else if seen.insert(codec) {
            check_file(report, &key, codec, &engine);
        }
    }
}

/// Checks the key of each device whose frames are sealed.
pub fn check_node_keys<'d>(report: &mut Report, devices: impl Iterator<Item = (&'d String, &'d Device)>) {
    let mut seen = BTreeMap::new();
    for (name, device) in devices {
        let Some(digits) = device.node_key.as_ref().map(Secret::expose) else { continue };
        let table = KeyPath::of("devices").key(name);
        let at = table.key("node_key_file");
        if let Err(error) = digits.parse::<NodeKey>() {
            report.error(&at, format!("the key {error}"));
        }
        if device.codec.as_deref().is_some_and(|codec| codec != "node") {
            report.error(&at, "goes with `codec = \"node\"` only; remove one of the two");
        }
        if let Some(first) = seen.insert(digits.trim().to_ascii_lowercase(), name) {
            let text = format!("is the key of {} too; each device needs its own", quoted(first));
            report.error(&at, text);
        }
    }
}

/// Reports every problem of a codec's file at `key`.
pub fn check_file(report: &mut Report, key: &KeyPath, codec: &str, engine: &Engine) {
    for problem in file::load(codec, engine).err().unwrap_or_default() {
        report.error(key, one_line(&problem));
    }
}
