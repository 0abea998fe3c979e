//! `[devices.*]`: the settings of a device that all adapters share. Kinds of adapters add their own keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// One device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Device {
    /// The device's own name: a topic's name, a MAC, a DevEUI. Default: the name of this table, by which it is known in any case.
    #[schemars(example = "A4:C1:38:8D:18:B2")]
    pub address: Option<String>,
    /// Its zone; levels are separated by `/`.
    #[schemars(example = "floor-1/lounge")]
    pub zone: Option<String>,
    /// The codec of its payloads, if `format` does not determine it: a built-in codec, or a `.js` or `.toml` file.
    #[schemars(example = &"codecs/am307.js")]
    pub codec: Option<String>,
    /// The file of the key (64 hexadecimal digits) with which a node of our own firmware seals its frames; others in its name
    /// are refused.
    #[schemars(example = &"attic.key")]
    pub node_key_file: Option<PathBuf>,
    /// What is in that file.
    #[serde(skip)]
    #[schemars(skip)]
    pub node_key: Option<Secret>,
    /// New names for its metrics: `rename = { tempc = "temperature" }`.
    #[schemars(example = example_rename())]
    pub rename: BTreeMap<String, String>,
    /// Corrections by metric (after `rename`): value × scale + offset.
    pub calibrate: BTreeMap<String, Calibration>,
    /// What the cloud may set: the keys of a command on `<prefix>/gateways/<id>/commands/<device>`. Without this key, nothing.
    #[schemars(example = ["state", "setpoint"])]
    pub commands: Vec<String>,
    /// Limits of these keys: `command_limits = { setpoint = { min = 5, max = 30 } }`. A value that is no number is refused.
    pub command_limits: BTreeMap<String, Limits>,
}

/// The limits of a number; both belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The smallest that is allowed.
    #[schemars(example = 5.0)]
    pub min: Option<f64>,
    /// The largest that is allowed.
    #[schemars(example = 30.0)]
    pub max: Option<f64>,
}

fn example_rename() -> BTreeMap<String, String> {
    BTreeMap::from([("tempc".to_owned(), "temperature".to_owned())])
}

/// A linear correction: value × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calibration {
    /// Multiplies the value.
    pub scale: f64,
    /// Added after that.
    pub offset: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { scale: 1.0, offset: 0.0 }
    }
}
