//! `[adapters.ble.*]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::settings::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bluetooth Low Energy sensors and beacons, heard through an adapter of this machine (BlueZ). Which formats are read:
/// docs/ble.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BleAdapter")]
pub struct BleConfig {
    /// The Bluetooth adapter: its name or its address. `bluetoothctl list` tells them.
    pub adapter: String,
    /// How it listens. `passive` sends nothing and spares the sensors' batteries, and needs a bluetoothd that is started
    /// with `--experimental`: without that it is `active`.
    pub scan: ScanMode,
    /// Who is heard: every device of a known format, or those of `[devices.*]` alone.
    pub devices: Listening,
    /// A beacon that was not heard for this long has left: its `presence` becomes 0.
    pub left_after: HumanDuration,
    /// Where not a single device was heard for this long, the scan is started anew; later the adapter is switched off and on.
    pub quiet_after: HumanDuration,
    /// Devices that are connected to, for the values that they do not advertise.
    pub connect: Vec<Connect>,
    /// Devices that are connected at once, at most: what the adapter is able to, less what others need.
    #[schemars(range(min = 1, max = 32))]
    pub max_connections: usize,
}

impl Default for BleConfig {
    fn default() -> Self {
        Self {
            adapter: "hci0".to_owned(),
            scan: ScanMode::default(),
            devices: Listening::default(),
            left_after: HumanDuration(Duration::from_secs(60)),
            quiet_after: HumanDuration(Duration::from_secs(120)),
            connect: Vec::new(),
            max_connections: 3,
        }
    }
}

/// A device whose characteristics (GATT) are wanted. Those that notify tell their values by themselves; the others are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BleConnect")]
pub struct Connect {
    /// The device's Bluetooth address.
    #[schemars(example = "A4:C1:38:8D:18:B2")]
    pub address: String,
    /// The service that is looked at: four hexadecimal digits, or all 36 characters. Default: all that the device has.
    #[serde(default)]
    #[schemars(example = &"181a")]
    pub service: Option<String>,
    /// How often it is read where its values do not come by themselves, and how long it stays connected where others wait.
    #[serde(default = "Connect::usual_every")]
    pub every: HumanDuration,
    /// What reads characteristics that docs/formats.md (gatt) does not list, by their UUIDs: the name of a format, or a file
    /// with a table of fields (`.toml`).
    #[serde(default)]
    pub codecs: BTreeMap<String, String>,
}

impl Connect {
    const fn usual_every() -> HumanDuration {
        HumanDuration::from_secs(300)
    }
}

/// How an adapter listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BleScan")]
pub enum ScanMode {
    /// Devices are asked for their scan responses: some put names and values there.
    #[default]
    Active,
    /// Nothing is sent: what devices put into scan responses is not heard.
    Passive,
    /// Not at all: the adapter is for `connect` alone.
    Off,
}

impl From<ScanMode> for ble_link::ScanMode {
    fn from(mode: ScanMode) -> Self {
        match mode {
            ScanMode::Active => Self::Active,
            ScanMode::Passive => Self::Passive,
            ScanMode::Off => Self::Off,
        }
    }
}

/// Who is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BleDevices")]
pub enum Listening {
    /// Every device of a known format.
    #[default]
    All,
    /// Those that a `[devices.*]` names.
    Known,
}

/// The keys of `[devices.*]` for devices that encrypt what they advertise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceKeys {
    /// The key that its Bluetooth advertisements are encrypted with: 32 hexadecimal digits, or 24.
    #[schemars(example = "231d39c1d7cc1ab1aee224cd096db932")]
    pub bindkey: Option<Secret>,
    /// A file with that key.
    #[schemars(example = &"lounge.bindkey")]
    pub bindkey_file: Option<PathBuf>,
}
