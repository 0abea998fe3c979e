//! `[adapters.mqtt.*]`.

use std::path::PathBuf;

use gateway_core::settings::{HumanDuration, Secret};
use mqtt_link::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Devices behind one MQTT broker. Without `url` it is the embedded broker of `[broker]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MqttAdapter")]
pub struct MqttConfig {
    /// The broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port. Without it, the embedded broker.
    #[schemars(example = "mqtt://lns.example.com:1883")]
    pub url: Option<String>,
    /// The version of MQTT.
    pub protocol: Protocol,
    /// The client id. Default: `riser-<gateway id>-<name of this table>`.
    #[schemars(example = "riser-hq-north-lns")]
    pub client_id: Option<String>,
    /// The user name, if the broker requires one.
    #[schemars(example = "hq-north")]
    pub username: Option<String>,
    /// The password; better in a separate file, in `password_file`.
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password; its last newline is cut. Relative to this file's directory.
    #[schemars(example = "lns.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) for verifying the broker's. Default: the machine's.
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// Riser's certificate (PEM), for a broker that requires one; needs `key_file`.
    #[schemars(example = "client.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(example = "client.key")]
    pub key_file: Option<PathBuf>,
    /// The interval of pings, so that a dead connection is detected.
    pub keep_alive: HumanDuration,
    /// The topics to subscribe to, and their payload formats.
    pub topics: Vec<Topic>,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            url: None,
            protocol: Protocol::default(),
            client_id: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            keep_alive: HumanDuration::from_secs(30),
            topics: Vec::new(),
        }
    }
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// An MQTT topic filter in which the level `{device}` names the device and `{metric}` the metric; `+` and `#` match anything.
    #[schemars(example = "sensors/{device}/telemetry")]
    pub filter: String,
    /// The format of the payloads: a built-in codec.
    #[schemars(example = &"json")]
    pub format: String,
    /// The columns of `format = "csv"`, in order; `device` and `time` have a meaning, `_` skips one.
    #[serde(default)]
    #[schemars(example = ["device", "temperature", "humidity"])]
    pub columns: Vec<String>,
}
