//! `actions` of `[alerts.*]`: what is sent where.

use gateway_core::DeviceAddress;
use gateway_core::ports::{CommandFormat, CommandMethod};
use lorawan_link::Eui;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::{Config, Device};

/// One message that an alert sends into the building when it is raised: to a `topic` through an MQTT adapter, to a `url`
/// through a CoAP adapter, to a `device` through a LoRaWAN adapter or an MQTT adapter with a network server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    /// Through which adapter: `mqtt.floor` is `[adapters.mqtt.floor]`.
    #[schemars(example = "mqtt.floor")]
    pub(crate) adapter: String,
    /// MQTT: to which topic.
    #[serde(default)]
    #[schemars(example = &"zigbee2mqtt/hvac_zone_1/set")]
    pub(crate) topic: Option<String>,
    /// CoAP: which resource of a device, `coap://` or `coaps://`.
    #[serde(default)]
    #[schemars(example = &"coap://10.0.0.9/relay")]
    pub(crate) url: Option<String>,
    /// CoAP: what is done to the resource. Default: `PUT`.
    #[serde(default)]
    #[schemars(example = &"PUT")]
    pub(crate) method: Option<CommandMethod>,
    /// CoAP: what the device is told that `payload` is. Default: `text`.
    #[serde(default)]
    #[schemars(example = &"text")]
    pub(crate) format: Option<CommandFormat>,
    /// LoRaWAN, heard by Riser or by a network server: to which device, by the name of its table, its DevEUI, or its name in the
    /// server's topics.
    #[serde(default)]
    #[schemars(example = &"lounge")]
    pub(crate) device: Option<String>,
    /// LoRaWAN: to which of its ports. Default: the one that its codec's `encodeDownlink` says.
    #[serde(default)]
    #[schemars(range(min = 1, max = 223), example = &10)]
    pub(crate) port: Option<u8>,
    /// LoRaWAN: whether the device is to confirm it. Default: `false`.
    #[serde(default)]
    #[schemars(example = &false)]
    pub(crate) confirmed: Option<bool>,
    /// What, as text. For LoRaWAN: `hex:…`, or a JSON object for `encodeDownlink` of the device's codec, or else of the
    /// network server's.
    #[schemars(example = r#"{"fan_mode":"high"}"#)]
    pub(crate) payload: String,
}

/// What a LoRaWAN device is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Its own bytes.
    Bytes(Vec<u8>),
    /// For an encoder.
    Object(Map<String, Value>),
}

impl Action {
    /// What its `payload` is for a LoRaWAN device; `None` where it is neither bytes in hex digits nor an object.
    pub(crate) fn content(&self) -> Option<Content> {
        match self.payload.trim().strip_prefix("hex:") {
            Some(digits) => hex::decode(digits.trim()).ok().map(Content::Bytes),
            None => serde_json::from_str(&self.payload).ok().map(Content::Object),
        }
    }
}

/// The device that an action calls `said`: by the name of its table, its address, or its DevEUI.
pub(crate) fn find_device<'c>(config: &'c Config, said: &str) -> Option<(&'c String, &'c Device)> {
    let same = |address: &str| DeviceAddress::canonical(address) == DeviceAddress::canonical(said);
    let is_it = |device: &Device| device.address.as_deref().is_some_and(same) || has_dev_eui(device, said);
    let named = config.devices.get_key_value(said);
    named.or_else(|| config.devices.iter().find(|(_, device)| is_it(device)))
}

/// Whether `said` is the DevEUI in the device's `lorawan`.
pub(crate) fn has_dev_eui(device: &Device, said: &str) -> bool {
    let dev_eui = device.lorawan.as_ref().and_then(|lorawan| lorawan.dev_eui.parse::<Eui>().ok());
    dev_eui.is_some_and(|dev_eui| said.parse() == Ok(dev_eui))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lorawan_payload_is_the_bytes_of_its_digits_or_an_object_and_nothing_else() {
        let content = |payload: &str| {
            let action = toml::from_str::<Action>(&format!(
                "adapter = \"lorawan.roof\"\ndevice = \"hall\"\nport = 10\npayload = '{payload}'"
            ));
            action.unwrap().content()
        };
        assert_eq!(content("hex:0aFF"), Some(Content::Bytes(vec![0x0a, 0xff])));
        assert_eq!(content("hex:"), Some(Content::Bytes(Vec::new())));
        let object = Map::from_iter([("led".to_owned(), true.into())]);
        assert_eq!(content("{\"led\":true}"), Some(Content::Object(object)));
        for wrong in ["0aff", "hex:0af", "hex:0g", "on", "[1]", "{\"led\"", ""] {
            assert_eq!(content(wrong), None, "{wrong}");
        }
    }
}
