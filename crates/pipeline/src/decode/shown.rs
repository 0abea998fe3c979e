//! Shows a message to people: its bytes, the codec, and what came of it.

use codecs::Measurements;
use gateway_core::{CodecId, DeviceAddress, Now, Uplink, chain};
use read_model::{MOST_BYTES, MOST_VALUES, Message, Messages};

use super::Configured;
use super::directory::canonical;
use crate::scripts::refusal::Refusal;

/// Adds an uplink to what is shown of its device. One that names no device is not shown.
pub(super) fn show_message(
    messages: &Messages,
    known: &Configured,
    uplink: &Uplink,
    measurements: &Measurements,
    refusal: Option<&Refusal>,
    now: Now,
) {
    let named = measurements.iter().next().and_then(|first| first.device.map(str::to_owned));
    let Some(address) = uplink.device.as_ref().map(DeviceAddress::as_str).or(named.as_deref()) else {
        return;
    };
    let rules = known.directory.find(&canonical(address));
    let codec = rules.and_then(|rules| rules.codec).unwrap_or(uplink.codec);
    let codec = if codec == CodecId::NONE { None } else { known.codec(codec).ok() };
    let values = measurements.iter().take(MOST_VALUES).map(|one| (one.metric.into(), one.value));
    let message = Message {
        at: now.at,
        adapter: uplink.adapter.name(),
        codec: codec.map(|codec| codec.name()),
        port: uplink.port,
        payload: uplink.payload.iter().take(MOST_BYTES).copied().collect(),
        length: uplink.payload.len(),
        values: values.collect(),
        refused: refusal.map(|refusal| (refusal.reason(), chain(refusal))),
    };
    messages.add(rules.map_or(address, |rules| &rules.name), message);
}
