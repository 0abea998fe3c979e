//! `shelly`: Shelly devices of all generations over MQTT.
//!
//! - First generation: `shellies/<id>/…` with bare values ([`gen1`]).
//! - Later ones (https://shelly-api-docs.shelly.cloud): `<id>/status/<component>`, `<id>/events/rpc` with `NotifyStatus`
//!   and `NotifyFullStatus`, answers on `…/rpc`, and bare statuses ([`gen2`]).
//! - `<id>/online` (`true`, `false`) is `availability`.
//! - Names and units are ours: `power` (W), `energy` (kWh, from Wh or Wmin), `state`, `temperature`, `humidity`; a
//!   device's own temperature is `device_temperature`. Channel 0 has the plain name, channel n the name with `_n`
//!   (`power_1`), so that a name does not depend on how many channels a device has.
//! - Event time is `params.ts` of a notification; other messages are of now.
//! - Events, settings, announcements and answers without a status are fine and make no metric.

mod gen1;
mod gen2;

use crate::{DecodeError, Input, Measurements, words};

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    out.begin_record();
    if let Some(topic) = gen1::own_topic(input.topic) {
        return gen1::decode(topic, input, out);
    }
    if crate::is_object(input.payload) {
        return gen2::decode(input, out);
    }
    if input.topic.rsplit('/').next() != Some("online") {
        return Err(DecodeError::Shape { expected: "an object" });
    }
    let text = crate::text(input.payload)?.trim();
    let online = words::two_valued(text).ok_or(DecodeError::Shape { expected: "`true` or `false`" })?;
    out.push("availability", online)
}

/// The name of a metric of one channel.
fn push_channel(name: &mut String, metric: &str, channel: &str) {
    name.clear();
    name.push_str(metric);
    if !matches!(channel, "" | "0") {
        name.push('_');
        name.push_str(channel);
    }
}
