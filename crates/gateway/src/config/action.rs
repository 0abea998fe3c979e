//! `actions` of `[alerts.*]`: what is sent where.

use gateway_core::ports::{CommandFormat, CommandMethod, Destination};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message that an alert sends into the building when it is raised: to a `topic` through an MQTT adapter, to a `url`
/// through a CoAP adapter, to a `device` through a LoRaWAN adapter.
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
    /// LoRaWAN: to which device, by the name of its table or its DevEUI.
    #[serde(default)]
    #[schemars(example = &"lounge")]
    pub(crate) device: Option<String>,
    /// LoRaWAN: to which of its ports.
    #[serde(default)]
    #[schemars(range(min = 1, max = 223), example = &10)]
    pub(crate) port: Option<u8>,
    /// LoRaWAN: whether the device is to confirm it. Default: `false`.
    #[serde(default)]
    #[schemars(example = &false)]
    pub(crate) confirmed: Option<bool>,
    /// What, as text; for LoRaWAN `hex:…`.
    #[schemars(example = r#"{"fan_mode":"high"}"#)]
    pub(crate) payload: String,
}

impl Action {
    /// Where it goes; `None` where nothing says so.
    pub(crate) fn destination(&self) -> Option<Destination> {
        match (&self.topic, &self.url, &self.device) {
            (Some(topic), ..) => Some(Destination::Topic(topic.clone())),
            (None, Some(url), _) => Some(Destination::Resource {
                url: url.clone(),
                method: self.method.unwrap_or_default(),
                format: self.format.unwrap_or_default(),
            }),
            (None, None, Some(device)) => Some(Destination::Device {
                device: device.clone(),
                port: self.port?,
                confirmed: self.confirmed.unwrap_or_default(),
            }),
            (None, None, None) => None,
        }
    }

    /// What is sent: the text, or for LoRaWAN the bytes of its hex digits; `None` where these are none.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        if self.device.is_none() {
            return Some(self.payload.as_bytes().to_vec());
        }
        let digits = self.payload.strip_prefix("hex:")?.trim();
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
        if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lorawan_payload_is_the_bytes_of_its_digits_and_nothing_else() {
        let bytes = |payload: &str| {
            let action = toml::from_str::<Action>(&format!(
                "adapter = \"lorawan.roof\"\ndevice = \"hall\"\nport = 10\npayload = \"{payload}\""
            ));
            action.unwrap().bytes()
        };
        assert_eq!(bytes("hex:0aFF"), Some(vec![0x0a, 0xff]));
        assert_eq!(bytes("hex:"), Some(Vec::new()));
        for wrong in ["0aff", "hex:0af", "hex:0g", "on"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
