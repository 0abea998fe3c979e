//! CBOR (RFC 8949) items: read within bounds, walked like JSON, and numbers made of them.

use ciborium::Value;

use crate::DecodeError;
use crate::flatten::{Leaf, Leaves, MAX_DEPTH, check_path};

/// Says only that this is CBOR (RFC 8949 §3.4.6).
const SELF_DESCRIBED: u64 = 55_799;

/// One item and nothing after it.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Value, DecodeError> {
    // Tags and arrays count too, so a little more than objects may.
    let most = usize::from(MAX_DEPTH) + 8;
    let item =
        ciborium::de::from_reader_with_recursion_limit(&mut bytes, most).map_err(|error| explain(&error))?;
    if !bytes.is_empty() {
        return Err(DecodeError::Cbor { problem: "bytes after its end", at: None });
    }
    Ok(match item {
        Value::Tag(SELF_DESCRIBED, item) => *item,
        item => item,
    })
}

fn explain<T>(error: &ciborium::de::Error<T>) -> DecodeError {
    match error {
        ciborium::de::Error::Io(_) => DecodeError::Cbor { problem: "cut off", at: None },
        ciborium::de::Error::Syntax(at) => DecodeError::Cbor { problem: "a broken item", at: Some(*at) },
        ciborium::de::Error::Semantic(at, _) => {
            DecodeError::Cbor { problem: "an item out of place", at: *at }
        }
        ciborium::de::Error::RecursionLimitExceeded => DecodeError::TooDeep { most: MAX_DEPTH },
    }
}

/// Gives `leaves` what [`crate::flatten::json`] would of the same content in JSON.
pub(crate) fn walk(item: &Value, path: &mut String, leaves: &mut impl Leaves) -> Result<(), DecodeError> {
    match item {
        Value::Map(members) => record(members, path, leaves),
        Value::Array(records) => records.iter().try_for_each(|item| match item {
            Value::Map(members) => record(members, path, leaves),
            _ => Err(DecodeError::Shape { expected: "objects in the array" }),
        }),
        other => leaves.bare(leaf(other)),
    }
}

fn record(
    members: &[(Value, Value)],
    path: &mut String,
    leaves: &mut impl Leaves,
) -> Result<(), DecodeError> {
    leaves.record_begins();
    object(members, path, leaves, 1)?;
    leaves.record_ends();
    Ok(())
}

fn object(
    members: &[(Value, Value)],
    path: &mut String,
    leaves: &mut impl Leaves,
    depth: u8,
) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooDeep { most: MAX_DEPTH });
    }
    let mark = path.len();
    for (key, value) in members {
        if mark > 0 {
            path.push('.');
        }
        push_key(key, path)?;
        check_path(path)?;
        match value {
            Value::Map(members) => object(members, path, leaves, depth + 1)?,
            Value::Array(_) => {}
            other => leaves.leaf(path, leaf(other))?,
        }
        path.truncate(mark);
    }
    Ok(())
}

fn push_key(key: &Value, path: &mut String) -> Result<(), DecodeError> {
    match key {
        Value::Text(text) => path.push_str(text),
        Value::Integer(number) => path.push_str(&i128::from(*number).to_string()),
        _ => return Err(DecodeError::Shape { expected: "texts and integers as names" }),
    }
    Ok(())
}

fn leaf(item: &Value) -> Leaf<'_> {
    match item {
        Value::Bool(boolean) => Leaf::Boolean(*boolean),
        Value::Text(text) => Leaf::Text(text),
        other => number(other).map_or(Leaf::Null, Leaf::Number),
    }
}

/// Integers, floats, and decimal fractions and big floats (tags 4 and 5).
pub(crate) fn number(item: &Value) -> Option<f64> {
    match item {
        #[expect(
            clippy::cast_precision_loss,
            reason = "measurements are f64; beyond 2^53 the nearest one is meant"
        )]
        Value::Integer(integer) => Some(i128::from(*integer) as f64),
        Value::Float(float) => Some(*float),
        Value::Tag(4, parts) => fraction(parts, 10.0),
        Value::Tag(5, parts) => fraction(parts, 2.0),
        _ => None,
    }
}

/// RFC 8949 §3.4.4: `[exponent, mantissa]`.
fn fraction(parts: &Value, base: f64) -> Option<f64> {
    let [Value::Integer(exponent), mantissa @ Value::Integer(_)] = parts.as_array()?.as_slice() else {
        return None;
    };
    let exponent = i32::try_from(i128::from(*exponent)).ok()?;
    let mantissa = number(mantissa)?;
    // Dividing by an exact power of ten rounds once: 2150 and -2 are 21.5.
    Some(if exponent < 0 {
        mantissa / base.powi(exponent.checked_neg()?)
    } else {
        mantissa * base.powi(exponent)
    })
}

/// The item as JSON; bytes and other things that JSON has not become null, keys their text.
pub(crate) fn to_json(item: &Value) -> Result<serde_json::Value, DecodeError> {
    Ok(match item {
        Value::Bool(boolean) => (*boolean).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Integer(integer) => i64::try_from(*integer).map_or_else(|_| number(item).into(), Into::into),
        Value::Array(items) => items.iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Map(members) => {
            let mut object = serde_json::Map::new();
            for (key, value) in members {
                let mut name = String::new();
                push_key(key, &mut name)?;
                object.insert(name, to_json(value)?);
            }
            object.into()
        }
        other => number(other).into(),
    })
}
