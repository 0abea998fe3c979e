//! Codecs written as a table: a TOML file that says which number stands where. For payloads of fixed layout, without a
//! line of code; docs/codecs.md shows one.
//!
//! Promises: a payload that is shorter than its fields is refused whole; what stands behind the last field is passed over.

mod file;
mod number;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use file::parse;
use number::Number;

use crate::words::Quantity;
use crate::{DecodeError, Input, Measurements};

/// Most fields of one layout.
pub(crate) const MAX_FIELDS: usize = 256;

/// A file, read and checked.
#[derive(Debug, PartialEq)]
pub(crate) struct StructCodec {
    /// For ports without a layout of their own.
    fields: Option<Vec<Field>>,
    ports: BTreeMap<u8, Vec<Field>>,
}

/// One number of a payload: `raw × scale + offset`.
#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    /// Its first byte.
    at: usize,
    number: Number,
    bits: Option<Bits>,
    scale: f64,
    offset: f64,
    unit: Option<String>,
}

/// Some of a whole number's bits, counted from the lowest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bits {
    first: u8,
    count: u8,
}

impl StructCodec {
    pub(crate) fn decode(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        out.begin_record();
        for field in self.layout(input.port)? {
            out.push(&field.name, field.read(input.payload)?)?;
            if let Some(unit) = &field.unit {
                out.set_unit(&field.name, unit);
            }
        }
        Ok(())
    }

    pub(crate) fn data(&self, input: &Input<'_>) -> Result<Value, DecodeError> {
        let mut found = Map::new();
        for field in self.layout(input.port)? {
            let Quantity { value, boolean } = field.read(input.payload)?;
            let value = if boolean { Value::from(value != 0.0) } else { Value::from(value) };
            found.insert(field.name.clone(), value);
        }
        Ok(Value::Object(found))
    }

    fn layout(&self, port: Option<u8>) -> Result<&[Field], DecodeError> {
        let own = port.and_then(|port| self.ports.get(&port));
        own.or(self.fields.as_ref()).map(Vec::as_slice).ok_or(DecodeError::Port { port })
    }
}

impl Field {
    fn end(&self) -> usize {
        self.at.saturating_add(self.number.bytes())
    }

    fn read(&self, payload: &[u8]) -> Result<Quantity, DecodeError> {
        let bytes = payload.get(self.at..self.end()).ok_or_else(|| DecodeError::TooShort {
            field: self.name.clone(),
            needed: self.end(),
            found: payload.len(),
        })?;
        let raw = match self.bits {
            Some(bits) => self.number.bits(bytes, bits),
            None => self.number.read(bytes),
        };
        if self.is_state() {
            return Ok(crate::words::from_bool(raw != 0.0));
        }
        Ok(Quantity::from(raw * self.scale + self.offset))
    }

    /// Two states rather than a number.
    fn is_state(&self) -> bool {
        self.number == Number::BOOL || self.bits.is_some_and(|bits| bits.count == 1)
    }
}
