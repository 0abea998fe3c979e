//! Parses a fault: `KIND[@DEVICE[/METRIC]][+START]`.

use std::str::FromStr;
use std::time::Duration;

use gateway_core::settings::HumanDuration;

use super::fault::{Fault, NoSuchFault};
use super::sensor::Metric;

/// The default start: after the first week, in which the model learns.
const AFTER: Duration = Duration::from_secs(8 * 86_400);

/// A requested fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The kind of fault.
    pub fault: Fault,
    /// The device; `None`: the first one that it can happen to.
    pub device: Option<String>,
    /// The metric; `None`: the first one that it can happen to.
    pub metric: Option<Metric>,
    /// The time from the start of the month; 8 days by default.
    pub after: Duration,
}

/// The text is not a valid fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlannedError {
    /// The kind does not exist.
    #[error(transparent)]
    Fault(#[from] NoSuchFault),
    /// The metric does not exist.
    #[error("`{text}` is no metric; there are {}", Metric::ALL.map(Metric::as_str).join(", "))]
    Metric {
        /// The text.
        text: String,
    },
    /// The start is invalid.
    #[error(
        "`+{text}` is no start; give whole days, hours or minutes after the beginning, like +9d or +230h"
    )]
    Start {
        /// The text.
        text: String,
    },
}

impl FromStr for Planned {
    type Err = PlannedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (what, start) = text.split_once('+').map_or((text, None), |(what, start)| (what, Some(start)));
        let (fault, place) = what.split_once('@').map_or((what, None), |(fault, place)| (fault, Some(place)));
        let (device, metric) = match place.map(|place| place.split_once('/').unwrap_or((place, ""))) {
            None => (None, None),
            Some((device, "")) => (Some(device.to_owned()), None),
            Some((device, metric)) => (Some(device.to_owned()), Some(named(metric)?)),
        };
        let after = start.map_or(Ok(AFTER), |start| {
            let duration = start.parse::<HumanDuration>().map(|duration| duration.0);
            duration.map_err(|_| PlannedError::Start { text: start.to_owned() })
        })?;
        Ok(Self { fault: fault.parse()?, device, metric, after })
    }
}

fn named(text: &str) -> Result<Metric, PlannedError> {
    let named = Metric::ALL.into_iter().find(|metric| metric.as_str() == text);
    named.ok_or_else(|| PlannedError::Metric { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_with_or_without_its_place_and_start() {
        let bare: Planned = "stuck".parse().unwrap();
        assert_eq!(bare, Planned { fault: Fault::Stuck, device: None, metric: None, after: AFTER });
        let full: Planned = "drift@climate-101/co2+230h".parse().unwrap();
        assert_eq!(full.device.as_deref(), Some("climate-101"));
        assert_eq!((full.fault, full.metric), (Fault::Drift, Some(Metric::Co2)));
        assert_eq!(full.after, Duration::from_secs(230 * 3600));
    }

    #[test]
    fn invalid_faults_metrics_and_starts_are_refused() {
        let error = |text: &str| text.parse::<Planned>().unwrap_err().to_string();
        assert!(error("stick").contains("`stick` is no fault; there are stuck,"));
        assert!(error("stuck@climate-101/heat").contains("`heat` is no metric"));
        assert!(error("stuck+soon").contains("`+soon` is no start"));
    }
}
