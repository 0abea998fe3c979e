//! Values as TOML text.

use gateway_core::findings::{quoted, written};
use serde_json::Value as Json;

/// `value` on one line.
pub(crate) fn toml_value(value: &Json) -> String {
    match value {
        Json::String(text)
            if text.contains('"') && !text.contains('\'') && !text.contains(char::is_control) =>
        {
            format!("'{text}'")
        }
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Json::Object(map) if map.is_empty() => "{}".to_owned(),
        Json::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{} = {}", written(key), toml_value(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
