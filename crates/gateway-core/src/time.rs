//! Points in time: milliseconds since the Unix epoch.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z; negative before. Arithmetic saturates: no outside number can overflow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// Later than any time that occurs.
    pub const MAX: Self = Self(i64::MAX);

    /// A clock that shows an earlier time than this has not been set: Riser did not exist then (2026-01-01T00:00:00Z).
    pub const PLAUSIBLE: Self = Self(1_767_225_600_000);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// From a number in a payload: seconds, or milliseconds where seconds would lie after the year 5138 (1e11).
    /// `None` for NaN, infinities and what lies outside ±100,000 years.
    #[must_use]
    pub fn from_epoch_number(number: f64) -> Option<Self> {
        let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
        // The cast is exact to a millisecond in this range.
        #[expect(clippy::cast_possible_truncation, reason = "checked against a range far inside i64")]
        (millis.abs() < 3.2e15).then(|| Self(millis.round() as i64))
    }

    /// How far `self` lies after `earlier`; zero where it lies before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `self - other` in milliseconds, of either sign.
    #[must_use]
    pub const fn millis_after(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with milliseconds, as in the payloads: `2026-11-20T10:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

/// A text that is no RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time like 2026-11-20T10:00:00Z")]
pub struct ParseTimestampError {
    /// What stood there.
    pub text: String,
    /// What the parser said.
    #[source]
    pub source: jiff::Error,
}

/// RFC 3339 with any offset; below a millisecond is cut.
impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim()
            .parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_millisecond()))
            .map_err(|source| ParseTimestampError { text: text.chars().take(64).collect(), source })
    }
}

/// The quality of the clock during a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeQuality {
    /// The clock shows a plausible time and ran evenly.
    #[default]
    Synced,
    /// The clock was set, forward or back, while the window was open.
    Stepped,
    /// The clock has not been set since boot: it shows a time before [`Timestamp::PLAUSIBLE`].
    Unsynced,
}

impl TimeQuality {
    /// As it stands in the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Stepped => "stepped",
            Self::Unsynced => "unsynced",
        }
    }
}

/// The current time, as the pipeline's clock gives it to all other code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Wall-clock time.
    pub at: Timestamp,
    /// Whether that can be believed.
    pub quality: TimeQuality,
}

impl Now {
    /// The present at `at`: unsynced where that is implausibly early.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        let quality = if at < Timestamp::PLAUSIBLE { TimeQuality::Unsynced } else { TimeQuality::Synced };
        Self { at, quality }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_milliseconds_always() {
        assert_eq!(Timestamp::from_millis(1_795_132_800_000).to_string(), "2026-11-20T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn reads_offsets_and_tells_seconds_from_milliseconds() {
        let at: Timestamp = "2026-11-20T01:00:00+01:00".parse().unwrap();
        assert_eq!(at.as_millis(), 1_795_132_800_000);
        assert_eq!(Timestamp::from_epoch_number(1_795_132_800.25).unwrap().as_millis(), 1_795_132_800_250);
        assert_eq!(Timestamp::from_epoch_number(1_795_132_800_250.0).unwrap().as_millis(), 1_795_132_800_250);
        assert_eq!(Timestamp::from_epoch_number(f64::NAN), None);
        assert_eq!(Timestamp::from_epoch_number(1e300), None);
    }
}
