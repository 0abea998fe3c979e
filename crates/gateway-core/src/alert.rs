//! An alert: raised or cleared by a rule, and reported at once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AnomalyKind, DeviceId, MetricId, Timestamp};

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look.
    #[default]
    Warning,
    /// Act now.
    Critical,
}

impl Severity {
    /// As it stands in the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What sort of condition made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// `above` or `below`.
    Threshold,
    /// `rises_by` or `falls_by`.
    Rate,
    /// The anomaly model's score.
    Anomaly,
    /// `silent_for`.
    Silent,
}

impl AlertKind {
    /// As it stands in the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Rate => "rate",
            Self::Anomaly => "anomaly",
            Self::Silent => "silent",
        }
    }
}

/// Begun, noticed or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition holds.
    Raised,
    /// It held, and no longer does.
    Cleared,
    /// It holds, and somebody has taken note.
    Acknowledged,
}

impl AlertState {
    /// As it stands in the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// Why an alert that was raised before is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Notice {
    /// `remind`: the first, second … time.
    Reminder(u32),
    /// `escalate`: its severity is a worse one now.
    Escalated,
}

/// An alert raised, told again, acknowledged or cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Which rule: the name of its `[alerts.*]` table, or `anomaly` for the model's own.
    pub rule: Arc<str>,
    /// Which device.
    pub device: DeviceId,
    /// Which metric; none where the alert is about a device as a whole.
    pub metric: Option<MetricId>,
    /// What sort.
    pub kind: AlertKind,
    /// Begun or over.
    pub state: AlertState,
    /// How bad.
    pub severity: Severity,
    /// The value that did it; none for silence, and for a device as a whole.
    pub value: Option<f64>,
    /// The anomaly score in 0..1 where the kind is anomaly.
    pub score: Option<f64>,
    /// The cause, if the kind is anomaly and the detector knows it.
    pub anomaly_kind: Option<AnomalyKind>,
    /// The lowest and highest normal value, if the detector knows them.
    pub expected: Option<(f64, f64)>,
    /// When it was raised, in event time; the same in `raised` and `cleared`, so that both share an identity.
    pub since: Timestamp,
    /// When this happened, in event time.
    pub at: Timestamp,
    /// One line for people.
    pub message: String,
    /// The limit that the value passed, in the metric's unit; none where the kind of condition has none.
    pub limit: Option<f64>,
    /// Of one that was raised before and is told again; none for every other.
    pub notice: Option<Notice>,
}

impl Alert {
    /// Whether it was not raised before.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.state == AlertState::Raised && self.notice.is_none()
    }
}
