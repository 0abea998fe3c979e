//! What a detector says of a value: how odd it is, in which way, and what would not have been.

use serde::{Deserialize, Serialize};

/// In which way a value is odd: which detector says so.
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

/// How odd a value is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 0 ordinary, 1 as odd as can be; calibrated so that one threshold means the same for every series.
    pub value: f64,
    /// The range in which a value would not have been odd, lowest and highest, where the detector can tell.
    pub expected: Option<(f64, f64)>,
    /// What is oddest about it; none where it is too early to tell.
    pub anomaly_kind: Option<AnomalyKind>,
}

impl Score {
    /// Nothing odd, or too early to tell.
    pub const NONE: Self = Self { value: 0.0, expected: None, anomaly_kind: None };

    /// The odder of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.value > self.value { other } else { self }
    }
}
