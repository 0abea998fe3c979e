//! `[adapters.ble.*]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::settings::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bluetooth Low Energy sensors and beacons, received by an adapter of this machine (BlueZ). docs/ble.md lists the formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BleAdapter")]
pub struct BleConfig {
    /// The Bluetooth adapter: its name or its address. `bluetoothctl list` shows them.
    pub adapter: String,
    /// How it scans. `passive` sends nothing and spares the sensors' batteries. It needs a bluetoothd that is started with
    /// `--experimental`; without that it is `active`.
    pub scan: ScanMode,
    /// Whose advertisements count: those of every device of a known format, or of `[devices.*]` alone.
    pub devices: Listening,
    /// A beacon that was not received for this long has left: its `presence` becomes 0.
    pub left_after: HumanDuration,
    /// If no advertisement was received for this long, the scan is restarted; later the adapter is switched off and on.
    pub quiet_after: HumanDuration,
    /// Devices to connect to, for the values that they do not advertise.
    pub connect: Vec<Connect>,
    /// The most devices that are connected at once: as many as the adapter supports, less those that other programs need.
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

/// A device whose characteristics (GATT) are used. Those that notify send their values by themselves; the others are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BleConnect")]
pub struct Connect {
    /// The device's Bluetooth address.
    #[schemars(example = "A4:C1:38:8D:18:B2")]
    pub address: String,
    /// The service that is used: four hexadecimal digits, or all 36 characters. Default: all services of the device.
    #[serde(default)]
    #[schemars(example = &"181a")]
    pub service: Option<String>,
    /// How often it is read if it does not notify, and how long it stays connected if other devices wait.
    #[serde(default = "Connect::usual_every")]
    pub every: HumanDuration,
    /// Codecs for characteristics that docs/formats.md (gatt) does not list, by UUID: the name of a format, or a file with a
    /// table of fields (`.toml`).
    #[serde(default)]
    pub codecs: BTreeMap<String, String>,
}

impl Connect {
    const fn usual_every() -> HumanDuration {
        HumanDuration::from_secs(300)
    }
}

/// How an adapter scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BleScan")]
pub enum ScanMode {
    /// Requests scan responses: some devices put names and values there.
    #[default]
    Active,
    /// Sends nothing: what devices put into scan responses is not received.
    Passive,
    /// Does not scan: the adapter is for `connect` alone.
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

/// Whose advertisements count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BleDevices")]
pub enum Listening {
    /// Every device of a known format.
    #[default]
    All,
    /// The devices of `[devices.*]`.
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
