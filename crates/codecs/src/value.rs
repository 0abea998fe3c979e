//! `value`: the payload is one number as text.
//!
//! - A number with a point, perhaps an exponent; spaces, line ends and quotes around it do not count.
//! - Or a word for one of two states, in any case: on/off, true/false, open/closed, online/offline, yes/no,
//!   lock(ed)/unlock(ed), enable(d)/disable(d) … count 1 and 0.
//! - The metric is what the topic's `{metric}` matched; without it the topic's last level, or `value` where that level is
//!   the device or there is no topic.
//! - Numbers with a unit or a decimal comma are refused: guessing would be wrong somewhere.

use serde_json::Value;

use crate::words::Quantity;
use crate::{DecodeError, Input, Measurements, words};

const EXPECTED: &str = "a number as text, or a word such as ON and OFF; for an object use the format `json`";

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let value = parse(input.payload)?;
    out.begin_record();
    out.push(metric(input), value)
}

pub(crate) fn data(input: &Input<'_>) -> Result<Value, DecodeError> {
    parse(input.payload).map(|quantity| Value::from(quantity.value))
}

/// The number that a payload is, finite.
pub(crate) fn parse(payload: &[u8]) -> Result<Quantity, DecodeError> {
    let text = crate::text(payload)?.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '"');
    words::number_or_word(text).ok_or(DecodeError::Shape { expected: EXPECTED })?.finite()
}

/// What a payload without names measures.
pub(crate) fn metric<'a>(input: &Input<'a>) -> &'a str {
    if let Some(metric) = input.metric {
        return metric;
    }
    match input.topic.rsplit('/').next() {
        Some(level) if !level.is_empty() && input.device != Some(level) => level,
        _ => "value",
    }
}
