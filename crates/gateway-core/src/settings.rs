//! The value types of `gateway.toml`: durations, sizes, secrets.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

mod device;
mod table_type;

pub use device::{Calibration, Device, Limits};
pub use table_type::TableType;

/// A configuration that passed its checks and still cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BuildError {
    /// The key that is to blame.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BuildError {
    /// The error and its causes, blamed on `key`.
    pub fn new(key: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { key: key.into(), reason: crate::chain(error) }
    }
}

/// A text that is no duration or size; says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}; write {allowed}")]
pub struct ParseError {
    /// What stood there.
    pub text: String,
    /// `a duration` or `a size`.
    pub what: &'static str,
    /// Examples of what is allowed.
    pub allowed: &'static str,
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"30d"`: a whole number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    const ALLOWED: &'static str = "a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\" or \"30d\"";

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl FromStr for HumanDuration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = split_unit(text).and_then(|(number, unit)| {
            let factor = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| ParseError {
            text: text.to_owned(),
            what: "a duration",
            allowed: Self::ALLOWED,
        })
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis.is_multiple_of(factor) && (millis > 0 || unit == "s") {
                return write!(f, "{}{unit}", millis / factor);
            }
        }
        write!(f, "{millis}ms")
    }
}

/// `"64KiB"`, `"256MiB"`: a whole number of bytes with a binary or decimal unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    const ALLOWED: &'static str =
        "a whole number and a unit: \"512B\", \"64KiB\", \"256MiB\", \"1GiB\" (or kB, MB, GB)";

    /// Binary megabytes.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
}

impl FromStr for ByteSize {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = split_unit(text).and_then(|(number, unit)| {
            let factor = match unit {
                "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                "kB" | "KB" => 1_000,
                "MB" => 1_000_000,
                "GB" => 1_000_000_000,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        bytes.map(Self).ok_or_else(|| ParseError {
            text: text.to_owned(),
            what: "a size",
            allowed: Self::ALLOWED,
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// As text in a file, with a JSON Schema that says so.
trait TextSetting: FromStr<Err = ParseError> + fmt::Display {
    const NAME: &'static str;
    const PATTERN: &'static str;
}

impl TextSetting for HumanDuration {
    const NAME: &'static str = "Duration";
    const PATTERN: &'static str = "^[0-9]+ *(ms|s|m|h|d)$";
}

impl TextSetting for ByteSize {
    const NAME: &'static str = "Size";
    const PATTERN: &'static str = "^[0-9]+ *(B|KiB|MiB|GiB|kB|KB|MB|GB)$";
}

fn deserialize_text<'de, T: TextSetting, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn text_schema<T: TextSetting>() -> Schema {
    json_schema!({ "type": "string", "pattern": T::PATTERN })
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema::<Self>()
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema::<Self>()
    }
}

/// The schema of an address to listen on; the value is a [`std::net::SocketAddr`].
#[derive(JsonSchema)]
#[schemars(transparent, extend("format" = "socket-address"))]
pub struct ListenAddress(#[expect(dead_code, reason = "only its schema is used")] String);

/// A password or key. Cannot be printed or serialised, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself: only where it leaves for the protocol that asked for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_with_their_largest_whole_unit() {
        for text in ["250ms", "30s", "5m", "1h", "30d", "90s", "0s"] {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
        }
        assert_eq!("120s".parse::<HumanDuration>().unwrap().to_string(), "2m");
        for text in ["", "5", "5 minutes", "-1s", "1.5h", "99999999999999999999d", "18446744073709551615d"] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_and_print() {
        for text in ["64KiB", "256MiB", "1GiB", "100B", "0B"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        assert_eq!("1MB".parse::<ByteSize>().unwrap(), ByteSize(1_000_000));
        assert!("64".parse::<ByteSize>().is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&secret).unwrap().contains("hunter2"));
    }
}
