//! `[adapters.ble.*]`.

use std::time::Duration;

use gateway_core::settings::HumanDuration;
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
}

impl Default for BleConfig {
    fn default() -> Self {
        Self {
            adapter: "hci0".to_owned(),
            scan: ScanMode::default(),
            devices: Listening::default(),
            left_after: HumanDuration(Duration::from_secs(60)),
            quiet_after: HumanDuration(Duration::from_secs(120)),
        }
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
    /// Nothing is sent. What a device repeats without a change is not told.
    Passive,
    /// Not at all: the adapter is for `connect` alone.
    Off,
}

impl From<ScanMode> for ble_link::Scan {
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
