//! `actions` of `[alerts.*]`: where each goes, and what is sent there.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::ports::{Destination, DownlinkContent};

use super::{BuildError, CodecTable};
use crate::config::action::{self, Content};
use crate::config::model::{Action as Written, Config};
use pipeline::deliver::actions::{Action, Message};
use pipeline::deliver::encoding::{Downlink, Encoder};

/// Rule -> its actions.
pub(super) fn actions(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<BTreeMap<String, Vec<Action>>, BuildError> {
    let mut by_rule = BTreeMap::new();
    for (name, alert) in &config.alerts {
        let mut actions = Vec::new();
        for written in &alert.actions {
            let message = match &written.device {
                Some(device) if written.adapter.starts_with("ble.") => {
                    to_characteristic(written, device, config)
                }
                Some(device) => to_device(written, device, config, codecs)?,
                None => elsewhere(written),
            };
            // `check` has refused an action that goes nowhere.
            actions.extend(message.map(|message| Action { adapter: written.adapter.clone(), message }));
        }
        by_rule.insert(name.clone(), actions);
    }
    Ok(by_rule)
}

fn elsewhere(action: &Written) -> Option<Message> {
    let to = match (&action.topic, &action.url) {
        (Some(topic), _) => Destination::Topic(topic.clone()),
        (None, Some(url)) => Destination::Resource {
            url: url.clone(),
            method: action.method.unwrap_or_default(),
            format: action.format.unwrap_or_default(),
        },
        (None, None) => return None,
    };
    Some(Message::Ready { to, payload: action.payload.clone().into() })
}

fn to_characteristic(action: &Written, said: &str, config: &Config) -> Option<Message> {
    let found = action::find_device(config, said);
    let address = found.map_or(said, |(name, device)| device.address.as_deref().unwrap_or(name));
    let characteristic = action.characteristic.clone()?;
    let to = Destination::Characteristic { device: address.to_owned(), characteristic };
    Some(Message::Ready { to, payload: action::bytes_of(&action.payload)?.into() })
}

fn to_device(
    action: &Written,
    said: &str,
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<Option<Message>, BuildError> {
    let found = action::find_device(config, said);
    let by_server = action.adapter.starts_with("mqtt.");
    // A network server knows its devices by their addresses, the LoRaWAN adapter by the names of their tables.
    let device = match found {
        Some((name, device)) if by_server => device.address.clone().unwrap_or_else(|| name.clone()),
        Some((name, _)) => name.clone(),
        None => said.to_owned(),
    };
    let confirmed = action.confirmed.unwrap_or_default();
    let to = |content| {
        action.port.map(|port| Destination::Device { device: device.clone(), port, confirmed, content })
    };
    let object = match action.content() {
        Some(Content::Object(object)) => object.into(),
        Some(Content::Bytes(bytes)) => {
            return Ok(to(DownlinkContent::Bytes).map(|to| Message::Ready { to, payload: bytes.into() }));
        }
        None => return Ok(None),
    };
    let timezone = config.gateway.timezone.as_deref();
    let codec = found.and_then(|(_, device)| device.codec.as_deref());
    let codec = codec.map(|codec| codecs.of_device(codec, timezone)).transpose()?;
    let encoder = Encoder { codec: codec.and_then(|id| codecs.get(id)), by_server };
    let downlink = Downlink { device, port: action.port, confirmed, object, encoder };
    Ok(Some(Message::ToEncode(Arc::new(downlink))))
}
