//! What a codec answers, by TS013.

use serde_json::{Map, Value};

use super::error::{ScriptFailure, Text};

/// What `decodeUplink` returned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// `data`, as `JSON.stringify` writes it; null where there is none.
    pub data: Value,
    /// The measurements that `normalizeUplink` made of it, where the codec has one and it succeeded.
    pub normalized: Option<Vec<Value>>,
    /// `errors`: the codec refuses the payload.
    pub errors: Vec<String>,
    /// `warnings`, `normalizeUplink`'s failure among them.
    pub warnings: Vec<String>,
}

/// What `encodeDownlink` returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// The FPort, where the codec names one.
    pub port: Option<u8>,
    /// The payload.
    pub bytes: Vec<u8>,
    /// `warnings`.
    pub warnings: Vec<String>,
}

/// The answer within what the prelude hands out, and what `normalizeUplink` made of it.
pub(super) fn answer_of(turn: &str) -> Result<(Option<Value>, Option<Value>), ScriptFailure> {
    if turn.len() > crate::MAX_PAYLOAD_BYTES {
        return Err(ScriptFailure::Answer { problem: "more than 256 KiB" });
    }
    // It is the engine's own JSON; what serde_json does not take of it is its depth.
    let nested = |_| ScriptFailure::Answer { problem: "what nests too deeply" };
    let mut turn: Map<String, Value> = serde_json::from_str(turn).map_err(nested)?;
    if let Some(Value::String(thrown)) = turn.get("threw") {
        return Err(ScriptFailure::of_exception(thrown));
    }
    Ok((turn.remove("answer"), turn.remove("normalized")))
}

impl Answer {
    pub(super) fn of(turn: &str) -> Result<Self, ScriptFailure> {
        let (answer, normalized) = answer_of(turn)?;
        let Some(Value::Object(mut answer)) = answer else { return Err(ScriptFailure::Nothing) };
        let data = answer.remove("data").unwrap_or_default();
        let errors = texts(answer.remove("errors"));
        if data.is_null() && errors.is_empty() {
            return Err(ScriptFailure::Nothing);
        }
        let mut warnings = texts(answer.remove("warnings"));
        let normalized = normalized.and_then(|turn| measurements(turn, &mut warnings));
        Ok(Self { data, normalized, errors, warnings })
    }

    /// The codec's own refusal, where there is one.
    #[must_use]
    pub fn refusal(&self) -> Option<ScriptFailure> {
        let text = || Text::new(&self.errors.join("; "));
        (!self.errors.is_empty()).then(|| ScriptFailure::Refused { text: text() })
    }
}

/// TS013 has `data` as one measurement or a list of them.
fn measurements(turn: Value, warnings: &mut Vec<String>) -> Option<Vec<Value>> {
    let Value::Object(mut turn) = turn else { return None };
    if let Some(Value::String(thrown)) = turn.get("threw") {
        warnings.push(format!("normalizeUplink threw {}", Text::new(thrown)));
        return None;
    }
    let Some(Value::Object(mut answer)) = turn.remove("answer") else { return None };
    let errors = texts(answer.remove("errors"));
    if !errors.is_empty() {
        warnings.push(format!("normalizeUplink says: {}", Text::new(&errors.join("; "))));
        return None;
    }
    match answer.remove("data") {
        Some(Value::Array(list)) => Some(list),
        Some(one @ Value::Object(_)) => Some(vec![one]),
        _ => None,
    }
}

impl Downlink {
    pub(super) fn of(turn: &str) -> Result<Self, ScriptFailure> {
        let (answer, _) = answer_of(turn)?;
        let Some(Value::Object(mut answer)) = answer else { return Err(ScriptFailure::Nothing) };
        let errors = texts(answer.remove("errors"));
        if !errors.is_empty() {
            return Err(ScriptFailure::Refused { text: Text::new(&errors.join("; ")) });
        }
        let Some(Value::Array(bytes)) = answer.remove("bytes") else { return Err(ScriptFailure::Nothing) };
        let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
        let port = match answer.remove("fPort") {
            None | Some(Value::Null) => None,
            Some(port) => Some(byte(&port).ok_or(ScriptFailure::Answer { problem: "an invalid fPort" })?),
        };
        Ok(Self {
            port,
            bytes: bytes
                .ok_or(ScriptFailure::Answer { problem: "bytes that are not whole numbers from 0 to 255" })?,
            warnings: texts(answer.remove("warnings")),
        })
    }
}

/// JavaScript has no whole numbers of its own: 7 may come as 7.0.
fn byte(value: &Value) -> Option<u8> {
    let number = value.as_f64()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
    (number.fract() == 0.0 && (0.0..=255.0).contains(&number)).then_some(number as u8)
}

/// `errors` and `warnings` should be lists of texts; some codecs return one text, or objects.
fn texts(value: Option<Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Vec::new(),
        Some(Value::Array(list)) => list.into_iter().map(text).collect(),
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(one) => vec![text(one)],
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
