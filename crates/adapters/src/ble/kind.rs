//! `[adapters.ble.*]` as a kind of adapter.

use std::fmt;

use codecs::Codec;
use gateway_core::AdapterId;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::{Message, Target};
use gateway_core::settings::{BuildError, TableType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{BleConfig, Connect, DeviceKeys};
use super::{build, check, probe};
use crate::kind::{Action, AdapterKind, Blueprint, BuildContext, Configured, Example};
use crate::site::Site;

/// Bluetooth Low Energy sensors and beacons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ble;

/// Where an action goes: a characteristic of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetKeys {
    /// Bluetooth: to which device, by the name of its table or its address.
    #[schemars(example = &"lounge")]
    pub device: Option<String>,
    /// Bluetooth: which characteristic of the device is written, by its UUID.
    #[schemars(example = &"2a56")]
    pub characteristic: Option<String>,
}

/// A characteristic of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacteristicTarget {
    /// The device's address.
    pub device: String,
    /// The characteristic's UUID: four hexadecimal digits, or 36 characters.
    pub characteristic: String,
}

impl fmt::Display for CharacteristicTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, characteristic {}", self.device, self.characteristic)
    }
}

impl AdapterKind for Ble {
    const NAME: &'static str = "ble";
    const LABEL: &'static str = "Bluetooth";
    const DOC: &'static str =
        "Bluetooth Low Energy sensors and beacons. The name is yours: `[adapters.ble.hall]`.";
    const TARGET: &'static str = "writes a `characteristic` of a `device`";
    const PAYLOAD_DOC: &'static str = "For Bluetooth: `hex:…`, else the text's bytes.";

    type Table = BleConfig;
    type DeviceKeys = DeviceKeys;
    type Target = TargetKeys;

    fn nested_tables() -> Vec<TableType> {
        vec![TableType::of::<Connect>()]
    }

    fn example() -> Example {
        Example { name: "hall", ..Example::default() }
    }

    fn read_files(table: &mut BleConfig, _path: &KeyPath, files: &mut Files<'_>) {
        let codecs = table.connect.iter_mut().flat_map(|connect| connect.codecs.values_mut());
        for codec in codecs.filter(|codec| Codec::is_file(codec)) {
            *codec = files.directory.join(&*codec).display().to_string();
        }
    }

    fn read_device_files(keys: &mut DeviceKeys, path: &KeyPath, files: &mut Files<'_>) {
        files.secret(path, "bindkey", &mut keys.bindkey, &mut keys.bindkey_file);
    }

    fn check(all: &Configured<Self>, site: &Site<'_>, report: &mut Report) {
        check::check(report, all, site);
    }

    fn check_action(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        site: &Site<'_>,
        report: &mut Report,
    ) {
        check::check_action(report, action, site);
    }

    fn message(
        action: &Action<'_, Self>,
        _all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Option<Message>, BuildError> {
        let TargetKeys { device, characteristic } = &action.target;
        let (Some(text), Some(characteristic)) = (device, characteristic.clone()) else { return Ok(None) };
        let found = context.site.find_device(text);
        let device = found.map_or(text.as_str(), |(name, device)| Site::address(name, device)).to_owned();
        let message = |value: Vec<u8>| Message::Ready {
            target: Target::new(CharacteristicTarget { device, characteristic }),
            payload: value.into(),
        };
        Ok(check::text_or_hex(action.payload).map(message))
    }

    fn probe(table: &BleConfig, path: &KeyPath, report: &mut Report) {
        probe::probe(report, &path.key("adapter"), &table.adapter);
    }

    fn prepare(all: &Configured<Self>, context: &mut BuildContext<'_>) -> Result<(), BuildError> {
        context.codecs.set_keys(build::keys(all, context.site)?);
        Ok(())
    }

    fn build(
        id: &AdapterId,
        table: &BleConfig,
        all: &Configured<Self>,
        context: &mut BuildContext<'_>,
    ) -> Result<Blueprint, BuildError> {
        build::blueprint(id, table, all, context)
    }
}
