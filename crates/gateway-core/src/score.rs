//! A detector's verdict on a value: the anomaly score, its cause, and the range of normal values.

use serde::{Deserialize, Serialize};

/// The cause of an anomaly: the detector that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// Far from where the series is at this time of the day or week.
    Profile,
    /// The level has moved.
    Shift,
    /// Not what the series' recent course led to expect.
    Residual,
    /// A value that is rare, above all at this time of the day.
    Density,
    /// A rare step from one value to the next.
    Markov,
    /// Exactly the same value for too long.
    Stuck,
    /// A value that a broken sensor shows: −40, 85 °C, 0, 65535.
    Sentinel,
    /// The values scatter more than they used to.
    Noise,
    /// Slowly moving away from its neighbours in the zone.
    Drift,
    /// Each metric of the device is ordinary, their combination is not.
    Combination,
}

impl AnomalyKind {
    /// What a sensor does and not the building: it never becomes usual.
    #[must_use]
    pub const fn is_sensor_fault(self) -> bool {
        matches!(self, Self::Stuck | Self::Sentinel | Self::Noise | Self::Drift)
    }

    /// As it stands in the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Shift => "shift",
            Self::Residual => "residual",
            Self::Density => "density",
            Self::Markov => "markov",
            Self::Stuck => "stuck",
            Self::Sentinel => "sentinel",
            Self::Noise => "noise",
            Self::Drift => "drift",
            Self::Combination => "combination",
        }
    }
}

/// The anomaly score of a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// From 0 (normal) to 1; calibrated so that one threshold means the same for every series.
    pub value: f64,
    /// The lowest and highest normal value, if the detector knows them.
    pub expected: Option<(f64, f64)>,
    /// The strongest cause; `None` while the detector has too few values.
    pub anomaly_kind: Option<AnomalyKind>,
}

impl Score {
    /// No anomaly, or too few values.
    pub const NONE: Self = Self { value: 0.0, expected: None, anomaly_kind: None };

    /// The odder of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.value > self.value { other } else { self }
    }
}
