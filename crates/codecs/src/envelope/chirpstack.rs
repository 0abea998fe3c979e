//! ChirpStack v4: the events of its MQTT integration in JSON (https://www.chirpstack.io/docs/chirpstack/integrations/events.html).
//!
//! Only the topic names the event, and the topic may have been changed on the way: so the members decide which event it is.
//! The time on air of a frame is not in the event, and cannot be computed: it depends on FOpts, which no event has.

use gateway_core::LinkQuality;
use serde_json::Value;

use super::fields::{best, dev_eui, has, port, small, text, time, whole};
use super::{Envelope, Event, Status, Uplink};

/// Members that only messages have in which nothing is measured: `integration` (whose `object` is no device's), `txack`,
/// `ack`, `log`, `location`; and `command/down`, which a wide subscription brings back to us.
const OTHERS: [&str; 8] =
    ["integrationName", "downlinkId", "queueItemId", "acknowledged", "level", "code", "location", "devEui"];
const STATUS: [&str; 4] = ["margin", "batteryLevel", "batteryLevelUnavailable", "externalPowerSource"];
const UPLINK: [&str; 6] = ["rxInfo", "data", "object", "fPort", "fCnt", "dr"];

pub(super) fn open(message: &Value) -> Envelope {
    let info = message.get("deviceInfo").unwrap_or(&Value::Null);
    Envelope {
        dev_eui: dev_eui(info, "devEui"),
        device: text(info, "deviceName").map(str::to_owned),
        at: time(message, "time"),
        counter: whole(message, "fCnt"),
        event: event(message),
    }
}

fn event(message: &Value) -> Event {
    let has_one_of = |keys: &[&str]| keys.iter().any(|key| has(message, key));
    if has_one_of(&OTHERS) {
        Event::Other
    } else if has_one_of(&STATUS) {
        Event::Status(status(message))
    } else if has_one_of(&UPLINK) {
        Event::Uplink(uplink(message))
    } else {
        Event::Other
    }
}

fn uplink(message: &Value) -> Uplink {
    let lora = message.pointer("/txInfo/modulation/lora").unwrap_or(&Value::Null);
    Uplink {
        port: port(message, "fPort"),
        bytes: text(message, "data").map(|text| ("data", text.to_owned())),
        decoded: message.get("object").filter(|_| has(message, "object")).cloned(),
        normalized: None,
        link: LinkQuality { spreading_factor: small(lora, "spreadingFactor"), ..best(message.get("rxInfo")) },
    }
}

/// A level of 0 % on external power, or where the device cannot tell, is none.
fn status(message: &Value) -> Status {
    let flag = |key| message.get(key).and_then(Value::as_bool);
    let number = |key| message.get(key).and_then(Value::as_f64);
    let external_power = flag("externalPowerSource");
    let unknown = external_power == Some(true) || flag("batteryLevelUnavailable") == Some(true);
    Status { battery: number("batteryLevel").filter(|_| !unknown), external_power, margin: number("margin") }
}
