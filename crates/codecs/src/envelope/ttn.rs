//! The Things Stack v3: what its MQTT integration publishes
//! (https://www.thethingsindustries.com/docs/integrations/data-formats/).
//!
//! An uplink simulated in the console is decoded as any other, because the user wants to see it arrive.

use gateway_core::LinkQuality;
use serde_json::Value;

use super::fields::{best, dev_eui, has, port, seconds, small, text, time, whole};
use super::{Envelope, Event, Uplink};

pub(super) fn open(message: &Value) -> Envelope {
    let ids = message.get("end_device_ids").unwrap_or(&Value::Null);
    let event = event(message);
    let is_simulated = message.get("simulated") == Some(&Value::Bool(true));
    Envelope {
        dev_eui: dev_eui(ids, "dev_eui"),
        device: text(ids, "device_id").map(str::to_owned),
        at: event.and_then(|(event, _)| time(event, "received_at")).or_else(|| time(message, "received_at")),
        counter: event.filter(|_| !is_simulated).map(|(event, _)| whole(event, "f_cnt").unwrap_or(0)),
        event: event.map_or(Event::Other, |(event, kind)| Event::Uplink(uplink(event, kind))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `…/up`.
    Uplink,
    /// `…/up/normalized`: one measurement of an uplink at a time.
    Normalized,
}

fn event(message: &Value) -> Option<(&Value, Kind)> {
    let of = |key, kind| message.get(key).filter(|event| event.is_object()).map(|event| (event, kind));
    of("uplink_message", Kind::Uplink).or_else(|| of("uplink_normalized", Kind::Normalized))
}

fn uplink(event: &Value, kind: Kind) -> Uplink {
    let lora = event.pointer("/settings/data_rate/lora").unwrap_or(&Value::Null);
    let normalized = match (kind, event.get("normalized_payload")) {
        (Kind::Uplink, Some(Value::Array(list))) => Some(list.clone()),
        (Kind::Normalized, Some(one @ Value::Object(_))) => Some(vec![one.clone()]),
        _ => None,
    };
    Uplink {
        port: port(event, "f_port"),
        bytes: text(event, "frm_payload").map(|text| ("frm_payload", text.to_owned())),
        decoded: event.get("decoded_payload").filter(|_| has(event, "decoded_payload")).cloned(),
        normalized,
        link: LinkQuality {
            spreading_factor: small(lora, "spreading_factor"),
            airtime: seconds(event, "consumed_airtime"),
            ..best(event.get("rx_metadata"))
        },
    }
}
