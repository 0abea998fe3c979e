//! Times in queries.

use std::borrow::Cow;

use gateway_core::Timestamp;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{KnownFormat, OneOfBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// The end of the year 9999: RFC 3339 goes no further.
const LATEST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// A time of a query: RFC 3339, or milliseconds since 1970. One before 1970 or after 9999 is taken as the nearest of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text
            .parse::<u64>()
            .ok()
            .map(|millis| Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
            .or_else(|| text.parse().ok());
        parsed.map(|at| Self(at.clamp(Timestamp::EPOCH, LATEST))).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!(
                "`{text}` is no time; write it as 2026-11-20T10:00:00Z, or in milliseconds since 1970"
            ))
        })
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        OneOfBuilder::new().item(text).item(number).into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<Timestamp> {
        serde_json::from_value::<Time>(text.into()).ok().map(|time| time.0)
    }

    #[test]
    fn reads_both_forms_and_no_other() {
        let at = Timestamp::from_millis(1_795_168_800_000);
        assert_eq!(time("1795168800000"), Some(at));
        assert_eq!(time(&at.to_string()), Some(at));
        assert_eq!(time("1066-10-14T09:00:00Z"), Some(Timestamp::EPOCH));
        assert_eq!(time("99999999999999999"), Some(LATEST));
        for wrong in ["", "-1", "yesterday", "2026-13-01T00:00:00Z"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
