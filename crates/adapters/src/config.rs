//! `[adapters.*]`: a table per kind, and in it one per name.
//!
//! A new kind of adapter is one folder and one field here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ble::config::BleConfig;
use crate::coap::config::CoapConfig;
use crate::lorawan::config::LorawanConfig;
use crate::mqtt::config::MqttConfig;

/// Where readings come from: one table per kind of link, and in it one per name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Adapters")]
pub struct Config {
    /// Devices behind an MQTT broker, Riser's own or another. The name is yours: `[adapters.mqtt.floor]`.
    pub mqtt: BTreeMap<String, MqttConfig>,
    /// Devices that speak CoAP. The name is yours: `[adapters.coap.lan]`.
    pub coap: BTreeMap<String, CoapConfig>,
    /// LoRaWAN devices behind packet forwarders. The name is yours: `[adapters.lorawan.roof]`.
    pub lorawan: BTreeMap<String, LorawanConfig>,
    /// Bluetooth Low Energy sensors and beacons. The name is yours: `[adapters.ble.hall]`.
    pub ble: BTreeMap<String, BleConfig>,
}
