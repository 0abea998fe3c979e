//! Whether a command may be done. It comes from outside.

use gateway_config::Config;
use gateway_core::Timestamp;
use serde_json::{Map, Value};

use super::{Response, Status};

const LONGEST_PAYLOAD: usize = 64 * 1024;
const LONGEST_ID: usize = 128;
const MOST_KEYS: usize = 32;

/// A command that may be done.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) id: String,
    pub(super) values: Map<String, Value>,
}

/// Checks a command to `device`, as its topic names it.
pub(super) fn decide(
    config: &Config,
    device: &str,
    payload: &[u8],
    now: Timestamp,
) -> Result<Decided, Response> {
    let refused = |id: Option<&String>, reason: String| Response::refused(id.cloned(), reason);
    if payload.len() > LONGEST_PAYLOAD {
        return Err(refused(None, format!("longer than {LONGEST_PAYLOAD} bytes")));
    }
    let body: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| {
        refused(None, r#"no JSON object such as {"id":"1","command":{"state":"ON"}}"#.to_owned())
    })?;
    let id = match body.get("id") {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= LONGEST_ID => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => return Err(refused(None, format!("`id` is missing, or no text of at most {LONGEST_ID} bytes"))),
    };
    if let Some(expires) = body.get("expires").filter(|expires| !expires.is_null()) {
        let Some(expires) = time(expires) else {
            return Err(refused(
                Some(&id),
                "`expires` is no time: RFC 3339, or seconds or milliseconds since 1970".to_owned(),
            ));
        };
        if expires <= now {
            let reason = Some(format!("it expired at {expires}"));
            return Err(Response { id: Some(id), status: Status::Expired, reason });
        }
    }
    let Some(Value::Object(values)) = body.get("command") else {
        return Err(refused(Some(&id), "`command` is missing, or no object of keys and values".to_owned()));
    };
    if values.is_empty() || values.len() > MOST_KEYS {
        return Err(refused(Some(&id), format!("`command` has no key, or more than {MOST_KEYS}")));
    }
    check(config, device, values).map_err(|reason| refused(Some(&id), reason))?;
    Ok(Decided { id, values: values.clone() })
}

fn time(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let number = value.as_f64().filter(|number| number.is_finite())?;
    // Seconds until the year 5138.
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number } as i64;
    Some(Timestamp::from_millis(millis))
}

fn check(config: &Config, device: &str, values: &Map<String, Value>) -> Result<(), String> {
    let Some(table) = config.devices.get(device) else {
        return Err(format!("no [devices.*] is called `{device}`"));
    };
    for (key, value) in values {
        if !table.commands.contains(key) {
            let allowed =
                if table.commands.is_empty() { "none".to_owned() } else { table.commands.join(", ") };
            return Err(format!("`{key}` is not allowed; allowed by devices.{device}.commands: {allowed}"));
        }
        let Some(limits) = table.command_limits.get(key) else { continue };
        let Some(number) = value.as_f64().filter(|number| number.is_finite()) else {
            return Err(format!("`{key}` must be a number"));
        };
        if limits.min.is_some_and(|min| number < min) || limits.max.is_some_and(|max| number > max) {
            let bound = |bound: Option<f64>| bound.map_or("any".to_owned(), |bound| bound.to_string());
            return Err(format!(
                "`{key}` is {number}; allowed: {} to {}",
                bound(limits.min),
                bound(limits.max)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        let device = gateway_core::settings::Device {
            commands: vec!["state".into(), "setpoint".into()],
            command_limits: [(
                "setpoint".into(),
                gateway_core::settings::Limits { min: Some(5.0), max: Some(30.0) },
            )]
            .into(),
            ..Default::default()
        };
        config.devices.insert("valve".into(), device);
        config
    }

    #[test]
    fn only_what_is_allowed_is_done() {
        let now = Timestamp::from_millis(1_795_132_800_000);
        let says = |device: &str, payload: &str| match decide(&config(), device, payload.as_bytes(), now) {
            Ok(decided) => format!("ok {}", decided.id),
            Err(response) => format!("{:?} {}", response.status, response.reason.unwrap_or_default()),
        };
        for (payload, expected) in [
            (r#"{"id":"1","command":{"state":"ON","setpoint":30}}"#, "ok 1"),
            (r#"{"id":7,"command":{"state":true},"expires":"2026-11-20T00:00:01Z"}"#, "ok 7"),
            (
                r#"{"id":"1","command":{"state":"ON"},"expires":"2026-11-20T00:00:00Z"}"#,
                "Expired it expired at",
            ),
            (r#"{"id":"1","command":{"state":"ON"},"expires":1795132799}"#, "Expired it expired at"),
            (r#"{"id":"1","command":{"state":"ON"},"expires":"soon"}"#, "Refused `expires` is no time"),
            (r#"{"id":"1","command":{"setpoint":30.5}}"#, "Refused `setpoint` is 30.5; allowed: 5 to 30"),
            (r#"{"id":"1","command":{"setpoint":"hot"}}"#, "Refused `setpoint` must be a number"),
            (
                r#"{"id":"1","command":{"reset":1}}"#,
                "Refused `reset` is not allowed; allowed by devices.valve.commands: state, setpoint",
            ),
            (r#"{"id":"1","command":{}}"#, "Refused `command` has no key"),
            (r#"{"id":"1"}"#, "Refused `command` is missing"),
            (r#"{"command":{"state":1}}"#, "Refused `id` is missing"),
            ("ON", "Refused no JSON object"),
        ] {
            let said = says("valve", payload);
            assert!(said.starts_with(expected), "{payload}: {said}");
        }
        assert!(
            says("pump", r#"{"id":"1","command":{"state":1}}"#).contains("no [devices.*] is called `pump`")
        );
        assert!(says("valve", &"x".repeat(LONGEST_PAYLOAD + 1)).contains("longer than"));
    }
}
