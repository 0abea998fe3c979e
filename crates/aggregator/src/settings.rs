//! What the user can choose about windows, and how far those choices may go.
//!
//! Promise: [`Settings::within_limits`] makes any settings safe to run on; nothing else in this crate checks them again.

use std::time::Duration;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// More windows than this never contain one instant: a smaller `every` is raised to `length / MAX_OVERLAP`.
pub const MAX_OVERLAP: u32 = 64;
/// Longest window.
pub const MAX_LENGTH: Duration = Duration::from_secs(366 * 24 * 3600);
/// Longest `lateness`, `correct_for` and `max_future`.
pub const MAX_SPAN: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Most percentiles per metric.
pub const MAX_PERCENTILES: usize = 32;
/// Late readings are gathered at least this long before a correction leaves, unless `lateness` is 0.
pub const MIN_GATHER: Duration = Duration::from_secs(1);

/// `[aggregate]` of `gateway.toml`. Parts of a millisecond are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Length of a window; at least 1 ms, at most [`MAX_LENGTH`].
    pub length: Duration,
    /// Distance between the starts of windows; equal to `length` for tumbling windows, smaller for hopping ones.
    pub every: Duration,
    /// How far past its end a window is published.
    pub lateness: Duration,
    /// How far past its end a window still takes late readings.
    pub correct_for: Duration,
    /// How far ahead of the clock a reading may lie.
    pub max_future: Duration,
    /// The percentiles of each metric, in per cent.
    pub percentiles: Vec<f64>,
    /// Whether zones get aggregates too.
    pub by_zone: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let (five_minutes, hour) = (Duration::from_secs(300), Duration::from_secs(3600));
        Self {
            length: five_minutes,
            every: five_minutes,
            lateness: Duration::from_secs(10),
            correct_for: hour,
            max_future: hour,
            percentiles: Vec::new(),
            by_zone: false,
        }
    }
}

impl Settings {
    /// These settings with everything out of range moved to the nearest limit, and impossible percentiles left out.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        self.length = whole_millis(self.length).clamp(Duration::from_millis(1), MAX_LENGTH);
        let smallest =
            u64::try_from(self.length.as_millis().div_ceil(u128::from(MAX_OVERLAP))).unwrap_or(u64::MAX);
        self.every = whole_millis(self.every).clamp(Duration::from_millis(smallest), self.length);
        for span in [&mut self.lateness, &mut self.correct_for, &mut self.max_future] {
            *span = whole_millis(*span).min(MAX_SPAN);
        }
        self.percentiles.retain(|percent| (0.0..=100.0).contains(percent));
        self.percentiles.truncate(MAX_PERCENTILES);
        self
    }
}

fn whole_millis(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// The settings' spans in milliseconds: what the code on every reading's path works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spans {
    pub(crate) length: i64,
    pub(crate) lateness: i64,
    pub(crate) correct_for: i64,
    pub(crate) max_future: i64,
    /// How long late readings are gathered before the correction that holds them leaves.
    pub(crate) gather: i64,
    /// Whether each instant lies in exactly one window.
    pub(crate) tumbling: bool,
}

impl From<&Settings> for Spans {
    fn from(settings: &Settings) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let gather =
            if settings.lateness.is_zero() { Duration::ZERO } else { settings.lateness.max(MIN_GATHER) };
        Self {
            length: millis(settings.length),
            lateness: millis(settings.lateness),
            correct_for: millis(settings.correct_for),
            max_future: millis(settings.max_future),
            gather: millis(gather),
            tumbling: settings.every == settings.length,
        }
    }
}

/// `at` moved by `millis`, of either sign.
pub(crate) fn shifted(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_hop_is_raised_so_that_no_instant_lies_in_more_windows_than_allowed() {
        let settings = Settings { every: Duration::ZERO, ..Settings::default() }.within_limits();
        assert_eq!(settings.every, Duration::from_millis(4688)); // 300 s / 64, rounded up
    }

    #[test]
    fn nonsense_becomes_the_nearest_sense() {
        let settings = Settings {
            length: Duration::ZERO,
            every: Duration::MAX,
            lateness: Duration::MAX,
            percentiles: vec![f64::NAN, -1.0, 50.0, 101.0],
            ..Settings::default()
        }
        .within_limits();
        assert_eq!(settings.length, Duration::from_millis(1));
        assert_eq!(settings.every, settings.length);
        assert_eq!(settings.lateness, MAX_SPAN);
        assert_eq!(settings.percentiles, [50.0]);
    }

    #[test]
    fn the_defaults_are_within_the_limits() {
        assert_eq!(Settings::default().within_limits(), Settings::default());
    }
}
