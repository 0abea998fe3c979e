//! What a scan has found: the devices of known formats with their newest values, and how many others. No IO.
//!
//! Promises: bounded in devices; those that do not fit are counted with the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ble_link::ScanResult;
use codecs::ble::{Advertisement, Ble, Keys, Kind, identity};
use codecs::{Codec, Input, Measurements};
use gateway_core::{DeviceAddress, Timestamp};
use serde_json::{Map, Value, json};

use crate::cli::decode::number;
use crate::cli::tail::printable;

/// Most devices that are listed, and as many that are only counted.
const MAX_DEVICES: usize = 5_000;

/// The devices that were found.
pub(super) struct ScannedDevices {
    codec: Codec,
    /// What the configuration calls them.
    names: BTreeMap<String, String>,
    devices: BTreeMap<Arc<str>, Device>,
    others: BTreeSet<Arc<str>>,
}

/// One device of a known format.
struct Device {
    kind: Kind,
    /// What it calls itself.
    advertised_name: Option<Arc<str>>,
    rssi: Option<i16>,
    count: u64,
    /// The newest of each, and its unit.
    values: BTreeMap<String, (f64, Option<String>)>,
    /// Why the last advertisement was not read.
    error: Option<String>,
}

impl ScannedDevices {
    /// Nothing yet. Each advertisement is read as it stands: none is a replay.
    pub(super) fn new(keys: Keys, names: BTreeMap<String, String>) -> Self {
        let codec = Codec::ble(Ble::alone(keys));
        Self { codec, names, devices: BTreeMap::new(), others: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, found: &ScanResult, at: Timestamp) {
        let Ok(payload) = adapters::ble::payload(found) else { return };
        let Ok(advertisement) = Advertisement::parse(&payload) else { return };
        let beacon = identity(&advertisement).filter(|_| !self.names.contains_key(&*found.address));
        let id = beacon.map_or_else(|| Arc::clone(&found.address), Arc::from);
        let has_room = self.devices.len() < MAX_DEVICES || self.devices.contains_key(&id);
        let Some(kind) = Kind::of(&advertisement).filter(|_| has_room) else {
            if self.others.len() < MAX_DEVICES {
                self.others.insert(id);
            }
            return;
        };
        let mut measurements = Measurements::default();
        let input = Input {
            payload: &payload,
            topic: "",
            device: Some(&found.address),
            metric: None,
            port: None,
            received_at: at,
        };
        let read = self.codec.decode(&input, &mut measurements);
        let device = self.devices.entry(id).or_insert_with(|| Device::new(kind));
        device.kind = kind;
        device.advertised_name = found.name.clone().or(device.advertised_name.take());
        device.rssi = found.rssi.or(device.rssi);
        device.count = device.count.saturating_add(1);
        device.error = read.err().map(|error| gateway_core::chain(&error));
        if device.error.is_none() {
            for measured in measurements.iter() {
                let unit = measured.unit.or_else(|| codecs::unit_of(measured.metric));
                device.values.insert(measured.metric.to_owned(), (measured.value, unit.map(str::to_owned)));
            }
        }
    }

    /// One line a device, and one about the rest.
    pub(super) fn json(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.nearest_first().map(|(id, device)| self.object(id, device)).collect();
        lines.push(json!({ "other_devices": self.others.len() }).to_string());
        lines
    }

    fn object(&self, id: &str, device: &Device) -> String {
        let values = device.values.iter().map(|(metric, (value, _))| (metric.clone(), number(*value)));
        let mut object = json!({
            "address": id,
            "format": device.kind.name(),
            "rssi": device.rssi,
            "heard": device.count,
            "metrics": values.collect::<Map<String, Value>>(),
        });
        let optional = [
            ("device", self.name(id)),
            ("name", device.advertised_name.as_deref()),
            ("error", device.error.as_deref()),
        ];
        for (key, text) in optional {
            if let (Some(text), Some(object)) = (text, object.as_object_mut()) {
                object.insert(key.to_owned(), text.into());
            }
        }
        object.to_string()
    }

    /// A table, and a line about the rest.
    pub(super) fn text(&self) -> Vec<String> {
        let rows: Vec<[String; 6]> = self.nearest_first().map(|(id, device)| self.row(id, device)).collect();
        let head = ["RSSI", "ADDRESS", "NAME", "FORMAT", "HEARD", "VALUES"].map(str::to_owned);
        let all = std::iter::once(&head).chain(&rows);
        let widths: Vec<usize> = (0..5)
            .map(|column| {
                all.clone().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let line = |row: &[String; 6]| {
            let [rssi, address, name, format, heard, values] = row;
            let [w_rssi, w_address, w_name, w_format, w_heard] = *widths.as_slice() else {
                return String::new();
            };
            format!(
                "{rssi:>w_rssi$}  {address:<w_address$}  {name:<w_name$}  {format:<w_format$}  {heard:>w_heard$}  {values}"
            )
        };
        let mut lines: Vec<String> = if rows.is_empty() { Vec::new() } else { all.map(line).collect() };
        lines.push(self.rest(rows.len()));
        lines
    }

    fn row(&self, id: &str, device: &Device) -> [String; 6] {
        let name = self.name(id).or(device.advertised_name.as_deref()).unwrap_or("-");
        let rssi = device.rssi.map_or_else(|| "?".to_owned(), |rssi| rssi.to_string());
        let values = device.values.iter().map(|(metric, (value, unit))| match unit {
            Some(unit) => format!("{metric} {value} {unit}"),
            None => format!("{metric} {value}"),
        });
        let mut values: Vec<String> = values.collect();
        values.extend(device.error.clone());
        let format = device.kind.name().to_owned();
        let row = [rssi, id.to_owned(), name.to_owned(), format, device.count.to_string(), values.join(", ")];
        row.map(printable)
    }

    fn rest(&self, listed: usize) -> String {
        match (listed, self.others.len()) {
            (0, 0) => "Nothing was heard. Is a sensor near, and its battery good? --for 1m listens longer."
                .to_owned(),
            (_, others) => {
                format!(
                    "Devices of known formats: {listed}. Others, such as phones and headphones: {others}."
                )
            }
        }
    }

    fn name(&self, id: &str) -> Option<&str> {
        self.names.get(&*DeviceAddress::canonical(id)).map(String::as_str)
    }

    fn nearest_first(&self) -> impl Iterator<Item = (&str, &Device)> {
        let mut devices: Vec<_> = self.devices.iter().map(|(id, device)| (&**id, device)).collect();
        devices.sort_by_key(|(_, device)| std::cmp::Reverse(device.rssi));
        devices.into_iter()
    }
}

impl Device {
    fn new(kind: Kind) -> Self {
        Self { kind, advertised_name: None, rssi: None, count: 0, values: BTreeMap::new(), error: None }
    }
}
