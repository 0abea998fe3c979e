//! `zigbee2mqtt`: what it publishes for a device (https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html).
//!
//! - Every number and boolean of the state is a metric under its own name, nested ones joined with `.` (`color.x`).
//!   Values stay as they are said: `contact` is 1 when closed. A `voltage` above 1,000 is a battery's, in mV.
//! - Texts of two-valued properties count too: ON/OFF, OPEN/CLOSE, LOCK/UNLOCK, ENABLE/DISABLE … as in `words.rs`. A word
//!   not in capitals counts unless the property's name says that it has more values (`system_mode`, `action`, …).
//! - `last_seen`, where it is switched on, is the event time: ISO 8601 or epoch milliseconds.
//! - `update`, `update_available` and `device` speak of firmware and the device's entry: no metrics.
//! - A topic that ends in `/availability` holds `online`/`offline`, or `{"state":"online"}`: metric `availability`, 1 or 0.
//! - A bare value (`output: attribute`) is what `value` would make of it, where the topic names the `{metric}`.

use gateway_core::Timestamp;
use jiff::tz::TimeZone;

use crate::flatten::{self, Leaf, Leaves};
use crate::{DecodeError, Input, MAX_NAME_BYTES, Measurements, time, value, words};

const AVAILABILITY: &str = "availability";
/// Mains are below, batteries in mV above.
const MILLIVOLTS_FROM: f64 = 1000.0;

pub(crate) fn decode(input: &Input<'_>, zone: &TimeZone, out: &mut Measurements) -> Result<(), DecodeError> {
    let text = crate::text(input.payload)?.trim();
    let is_availability = input.topic.rsplit('/').next() == Some(AVAILABILITY);
    if !crate::is_object(input.payload) {
        return if is_availability { availability(text, out) } else { attribute(input, out) };
    }
    let mut path = out.take_scratch();
    let mut state = State { is_availability, zone, out, seen: None };
    let read = flatten::json(text, &mut path, &mut state);
    out.return_scratch(path);
    read
}

fn availability(text: &str, out: &mut Measurements) -> Result<(), DecodeError> {
    let online = match text {
        "online" => true,
        "offline" => false,
        _ => return Err(DecodeError::Shape { expected: "`online` or `offline`" }),
    };
    out.begin_record();
    out.push(AVAILABILITY, words::from_bool(online))
}

fn attribute(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let metric = input.metric.ok_or(DecodeError::Shape { expected: "an object" })?;
    let value = value::parse(input.payload)?;
    out.begin_record();
    out.push(metric, value)
}

struct State<'a> {
    is_availability: bool,
    zone: &'a TimeZone,
    out: &'a mut Measurements,
    seen: Option<Timestamp>,
}

impl State<'_> {
    fn last_seen(&mut self, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        let seen = match leaf {
            Leaf::Null => return Ok(()),
            Leaf::Boolean(_) => None,
            Leaf::Number(number) => Timestamp::from_epoch_number(number),
            Leaf::Text(text) => time::from_text(text, self.zone),
        };
        self.seen = Some(seen.ok_or_else(|| DecodeError::BadTime { record: self.out.record() })?);
        Ok(())
    }

    fn number(&mut self, name: &str, number: f64) -> Result<(), DecodeError> {
        self.out.push(name, number)?;
        if name == "voltage" && number > MILLIVOLTS_FROM {
            self.out.set_unit(name, "mV");
        }
        Ok(())
    }
}

impl Leaves for State<'_> {
    fn record_begins(&mut self) {
        self.out.begin_record();
    }

    fn leaf(&mut self, path: &str, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        if self.is_availability {
            return match leaf {
                Leaf::Text(text) if path == "state" => availability(text, self.out),
                _ => Ok(()),
            };
        }
        if path == "last_seen" {
            return self.last_seen(leaf);
        }
        if path == "update_available" || path.starts_with("update.") || path.starts_with("device.") {
            return Ok(());
        }
        match leaf {
            Leaf::Number(number) => self.number(path, number),
            Leaf::Boolean(boolean) => self.out.push(path, words::from_bool(boolean)),
            Leaf::Text(text) => match two_valued(path, text) {
                Some(value) => self.out.push(path, value),
                None => Ok(()),
            },
            Leaf::Null => Ok(()),
        }
    }

    fn record_ends(&mut self) {
        if let Some(seen) = self.seen {
            self.out.set_time(seen);
        }
    }

    fn bare(&mut self, _: Leaf<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::Shape { expected: "an object" })
    }
}

/// Parts of the names of properties whose `on` and `off` stand among other values, so that the two alone would lie.
const MANY_VALUED: [&str; 15] = [
    "action",
    "auto_o",
    "behavior",
    "control",
    "effect",
    "level",
    "_led",
    "memory",
    "mode",
    "Mode",
    "preset",
    "sampling",
    "sensitivity",
    "setting",
    "status",
];

/// zigbee2mqtt writes two-valued properties in capitals, with few exceptions; lists of modes are in small letters.
fn two_valued(name: &str, text: &str) -> Option<words::Quantity> {
    let value = words::two_valued(text)?;
    let is_sure = !text.bytes().any(|byte| byte.is_ascii_lowercase())
        || text.eq_ignore_ascii_case("enable")
        || text.eq_ignore_ascii_case("disable");
    // `normal` is one of many conditions, `Normal` the opposite of `Alarm Active`.
    let is_condition = text == "normal";
    // A name that is refused anyway is not searched.
    let may_have_more = name.len() <= MAX_NAME_BYTES && MANY_VALUED.iter().any(|part| name.contains(part));
    (is_sure || !(is_condition || may_have_more)).then_some(value)
}
