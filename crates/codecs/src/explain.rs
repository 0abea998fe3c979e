//! What a payload says, in full and for people: what `riser decode` shows.

use gateway_core::chain;

use crate::{DecodeError, Input, Measurements, ble, check_size, javascript};

/// The result of [`crate::Codec::explain`].
#[derive(Debug, Default)]
pub struct Explained {
    /// What the payload says before measurements are made of it; null where nothing.
    pub data: serde_json::Value,
    /// What `normalizeUplink` made of it.
    pub normalized: Option<Vec<serde_json::Value>>,
    /// Why nothing was measured: each to be shown as it stands.
    pub errors: Vec<String>,
    /// What a codec in JavaScript remarks.
    pub warnings: Vec<String>,
}

impl Explained {
    #[expect(clippy::needless_pass_by_value, reason = "the end of a chain")]
    pub(crate) fn failed(error: DecodeError) -> Self {
        Self { errors: vec![chain(&error)], ..Self::default() }
    }
}

pub(crate) fn script(
    script: &javascript::Script,
    input: &Input<'_>,
    received: Option<&str>,
    out: &mut Measurements,
) -> Explained {
    let answer = check_size(input.payload)
        .and_then(|()| javascript::run(script, input, received).map_err(DecodeError::from));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Explained::failed(error),
    };
    let measured = if answer.errors.is_empty() { javascript::measure(&answer, out) } else { Ok(()) };
    let mut errors = answer.errors;
    if let Err(error) = measured {
        out.clear();
        errors.push(error.to_string());
    }
    Explained { data: answer.data, normalized: answer.normalized, errors, warnings: answer.warnings }
}

/// The format of an advertisement is reported even if its payload cannot be read.
pub(crate) fn advertisement(ble: &ble::Ble, input: &Input<'_>, out: &mut Measurements) -> Explained {
    let (notes, read) = ble.explain(input, out);
    let errors: Vec<_> = read.err().map(|error| chain(&error)).into_iter().collect();
    if !errors.is_empty() {
        out.clear();
    }
    let data = if notes.is_empty() { serde_json::Value::Null } else { notes.into() };
    Explained { data, errors, ..Explained::default() }
}
