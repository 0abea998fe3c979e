//! Shelly's first generation: one bare value a topic, `shellies/<id>/relay/0/power`
//! (https://shelly-api-docs.shelly.cloud/gen1/#mqtt-support).

use super::push_channel;
use crate::{DecodeError, Input, Measurements, words};

/// Watt-minutes in a kilowatt-hour.
const WMIN: f64 = 1.0 / 60_000.0;
const WH: f64 = 0.001;

/// Topics behind the device's, `+` for a channel; our name; the factor to our unit. What is not here (`info`, `announce`,
/// `input_event`, `command`, values in °F) repeats others or measures nothing.
const TOPICS: [(&str, &str, f64); 43] = [
    ("online", "availability", 1.0),
    ("temperature", "device_temperature", 1.0),
    ("overtemperature", "overtemperature", 1.0),
    ("voltage", "voltage", 1.0),
    ("relay/+", "state", 1.0),
    ("relay/+/power", "power", 1.0),
    ("relay/+/energy", "energy", WMIN),
    ("light/+", "state", 1.0),
    ("light/+/power", "power", 1.0),
    ("light/+/energy", "energy", WMIN),
    ("color/+", "state", 1.0),
    ("color/+/power", "power", 1.0),
    ("white/+", "state", 1.0),
    ("white/+/power", "power", 1.0),
    ("roller/+/pos", "position", 1.0),
    ("roller/+/power", "power", 1.0),
    ("roller/+/energy", "energy", WMIN),
    ("input/+", "input", 1.0),
    ("emeter/+/power", "power", 1.0),
    ("emeter/+/reactive_power", "power_reactive", 1.0),
    ("emeter/+/voltage", "voltage", 1.0),
    ("emeter/+/current", "current", 1.0),
    ("emeter/+/pf", "power_factor", 1.0),
    ("emeter/+/total", "energy", WH),
    ("emeter/+/total_returned", "produced_energy", WH),
    ("adc/+", "voltage", 1.0),
    ("ext_temperature/+", "temperature", 1.0),
    ("ext_humidity/+", "humidity", 1.0),
    ("sensor/temperature", "temperature", 1.0),
    ("sensor/humidity", "humidity", 1.0),
    ("sensor/battery", "battery", 1.0),
    ("sensor/lux", "illuminance", 1.0),
    ("sensor/motion", "occupancy", 1.0),
    ("sensor/vibration", "vibration", 1.0),
    ("sensor/flood", "water_leak", 1.0),
    ("sensor/smoke", "smoke", 1.0),
    ("sensor/tilt", "tilt", 1.0),
    ("sensor/concentration", "gas_concentration", 1.0),
    ("sensor/charger", "charging", 1.0),
    ("sensor/state", "contact", 1.0),
    ("thermostat/+/position", "position", 1.0),
    ("thermostat/+/target_t", "current_heating_setpoint", 1.0),
    ("thermostat/+/temperature", "local_temperature", 1.0),
];

/// What stands behind `shellies/<id>/`.
pub(super) fn own_topic(topic: &str) -> Option<&str> {
    let mut levels = topic.split('/');
    levels.find(|level| *level == "shellies")?;
    levels.next()?;
    let rest: usize = levels.map(|level| level.len() + 1).sum();
    topic.get(topic.len().checked_sub(rest)? + 1..)
}

pub(super) fn decode(topic: &str, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let text = crate::text(input.payload)?.trim();
    let Some((metric, factor, channel)) = find(topic) else { return Ok(()) };
    let value = match (metric, text) {
        // zigbee2mqtt's `contact` is 1 when closed.
        ("contact", "open") => Some(words::from_bool(false)),
        ("contact", "close") => Some(words::from_bool(true)),
        // A rejected or missing sensor; a relay switched off by too much power.
        (_, "overpower") => Some(words::from_bool(false)),
        _ => words::number_or_word(text),
    };
    let expected = "a number, or a word such as `on`";
    let value = value.ok_or(DecodeError::Shape { expected })?.scaled(factor).finite()?;
    let mut name = out.take_scratch();
    push_channel(&mut name, metric, channel);
    let pushed = out.push(&name, value);
    out.return_scratch(name);
    pushed
}

fn find(topic: &str) -> Option<(&'static str, f64, &str)> {
    TOPICS.iter().find_map(|(pattern, metric, factor)| Some((*metric, *factor, channel(pattern, topic)?)))
}

/// The channel in `topic` where it fits `pattern`; `0` where the pattern has none.
fn channel<'t>(pattern: &str, topic: &'t str) -> Option<&'t str> {
    let Some((before, after)) = pattern.split_once('+') else {
        return (pattern == topic).then_some("0");
    };
    let channel = topic.strip_prefix(before)?.strip_suffix(after)?;
    let is_channel = !channel.is_empty() && channel.bytes().all(|byte| byte.is_ascii_digit());
    is_channel.then_some(channel)
}
