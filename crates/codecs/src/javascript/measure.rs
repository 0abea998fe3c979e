//! A codec's answer as measurements.
//!
//! `data` is flattened: nested names joined with `.`, booleans 0 and 1; null, texts and arrays make none. What vendors
//! spell differently gets our name ([`crate::names`]). If the codec has `normalizeUplink` and it returns one
//! measurement, the quantities that `data` did not have under our names are added.

use serde_json::Value;

use super::{Answer, Call, Script, ScriptFailure};
use crate::flatten::{self, Leaf, Leaves};
use crate::{DecodeError, Input, Measurements, names, words};

/// Asks the codec about a message of its own, for people: `received` is `input.recvTime`, to the letter where it is known.
pub(crate) fn run(
    script: &Script,
    input: &Input<'_>,
    received: Option<&str>,
) -> Result<Answer, ScriptFailure> {
    call(script, input, received, None)
}

pub(crate) fn decode(script: &Script, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    measure(&call(script, input, None, input.device)?, out)
}

fn call(
    script: &Script,
    input: &Input<'_>,
    received: Option<&str>,
    device: Option<&str>,
) -> Result<Answer, ScriptFailure> {
    let arrival;
    let received = match received {
        Some(received) => received,
        None => {
            arrival = input.received_at.to_string();
            &arrival
        }
    };
    script.decode(&Call { bytes: input.payload, port: input.port, received, device })
}

/// The measurements of an answer.
pub(crate) fn measure(answer: &Answer, out: &mut Measurements) -> Result<(), DecodeError> {
    if let Some(refusal) = answer.refusal() {
        return Err(refusal.into());
    }
    measure_data(&answer.data, answer.normalized.as_deref(), out)
}

/// The measurements of what a codec returned as `data`, here or in a network server.
pub(crate) fn measure_data(
    data: &Value,
    normalized: Option<&[Value]>,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    out.begin_record();
    walk(data, &mut DataVisitor { out })?;
    // A name of ours takes precedence over a vendor's name with the same meaning.
    out.rename(names::wrapped);
    out.rename(names::known);
    if let Some([one]) = normalized {
        walk(one, &mut NormalizedVisitor { out })?;
    }
    Ok(())
}

fn walk(tree: &Value, leaves: &mut impl Leaves) -> Result<(), DecodeError> {
    flatten::tree(tree, &mut String::new(), leaves)
}

fn quantity(leaf: Leaf<'_>) -> Option<words::Quantity> {
    match leaf {
        Leaf::Number(number) => Some(number.into()),
        Leaf::Boolean(on) => Some(words::from_bool(on)),
        Leaf::Null | Leaf::Text(_) => None,
    }
}

/// Collects what the codec returned as `data`.
struct DataVisitor<'o> {
    out: &'o mut Measurements,
}

impl Leaves for DataVisitor<'_> {
    fn record_begins(&mut self) {}

    fn leaf(&mut self, path: &str, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        // Data that is one number has no name.
        let path = if path.is_empty() { "value" } else { path };
        quantity(leaf).map_or(Ok(()), |quantity| self.out.push(path, quantity))
    }

    fn record_ends(&mut self) {}

    fn bare(&mut self, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        self.leaf("", leaf)
    }
}

/// Adds known quantities that `data` did not have.
struct NormalizedVisitor<'o> {
    out: &'o mut Measurements,
}

impl Leaves for NormalizedVisitor<'_> {
    fn record_begins(&mut self) {}

    fn leaf(&mut self, path: &str, leaf: Leaf<'_>) -> Result<(), DecodeError> {
        let (Some(quantity), Some((metric, unit))) = (quantity(leaf), names::normalized(path)) else {
            return Ok(());
        };
        if self.out.has(metric) {
            return Ok(());
        }
        self.out.push(metric, quantity)?;
        if !unit.is_empty() {
            self.out.set_unit(metric, unit);
        }
        Ok(())
    }

    fn record_ends(&mut self) {}

    fn bare(&mut self, _: Leaf<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}
