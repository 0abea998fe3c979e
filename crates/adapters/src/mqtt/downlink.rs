//! The topic and JSON of a downlink command for a network server.
//!
//! - The Things Stack v3: `…/devices/{device}/down/push`
//!   (https://www.thethingsindustries.com/docs/integrations/other-integrations/mqtt/).
//! - ChirpStack v4: `…/device/{dev_eui}/command/down`
//!   (https://www.chirpstack.io/docs/chirpstack/integrations/mqtt.html).
//!
//! Both accept the device's bytes, or an object for their own encoder of the device.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::addresses::Address;
use crate::downlink::{DownlinkContent, DownlinkTarget};

/// A LoRaWAN network server behind a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkServer {
    /// The Things Stack, version 3.
    TheThingsStack,
    /// ChirpStack, version 4.
    Chirpstack,
}

impl NetworkServer {
    /// The server for a format of `[adapters.mqtt.*] topics`.
    #[must_use]
    pub fn of_format(format: &str) -> Option<Self> {
        match format {
            "ttn" => Some(Self::TheThingsStack),
            "chirpstack" => Some(Self::Chirpstack),
            _ => None,
        }
    }
}

/// A downlink for a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Downlink<'a> {
    pub(super) target: &'a DownlinkTarget,
    pub(super) payload: &'a [u8],
}

impl Downlink<'_> {
    /// Topic and payload for the network server; `None` if the payload should be a JSON object but is not.
    pub(super) fn message(&self, to: &Address) -> Option<(String, Bytes)> {
        let (topic, message) = match to.server {
            NetworkServer::TheThingsStack => {
                let mut downlink = self.body(["frm_payload", "decoded_payload"])?;
                downlink.insert("f_port".to_owned(), self.target.port.into());
                downlink.insert("confirmed".to_owned(), self.target.confirmed.into());
                downlink.insert("priority".to_owned(), "NORMAL".into());
                (format!("{}/down/push", to.device_part), json!({ "downlinks": [downlink] }))
            }
            NetworkServer::Chirpstack => {
                let mut downlink = self.body(["data", "object"])?;
                downlink.insert("devEui".to_owned(), to.device().into());
                downlink.insert("fPort".to_owned(), self.target.port.into());
                downlink.insert("confirmed".to_owned(), self.target.confirmed.into());
                (format!("{}/command/down", to.device_part), Value::Object(downlink))
            }
        };
        Some((topic, message.to_string().into()))
    }

    /// `keys`: the server's keys for the bytes in base64, and for the object.
    fn body(&self, [bytes, object]: [&str; 2]) -> Option<Map<String, Value>> {
        let (key, value) = match self.target.content {
            DownlinkContent::Bytes => (bytes, BASE64.encode(self.payload).into()),
            DownlinkContent::Object => (object, Value::Object(serde_json::from_slice(self.payload).ok()?)),
        };
        Some(Map::from_iter([(key.to_owned(), value)]))
    }
}
