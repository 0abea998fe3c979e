//! What the gateway sends: records of aggregates, alerts and readings, with the names of everything in them.
//!
//! A record is stored once, as [`Record::encode`] writes it, and each sink writes it in its own format. Most of them use
//! [`Record::to_json`], which is the format of the cloud's topics.

mod first;
mod id;
mod json;
#[cfg(test)]
mod tests;

use gateway_core::{
    AlertKind, AlertState, AnomalyKind, Notice, Severity, Summary, TimeQuality, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

/// The version of the stored form: its first byte.
const VERSION: u8 = 2;

/// One thing to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Aggregate(Aggregate),
    Alert(Alert),
    Reading(Reading),
}

/// The device or zone that a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    Device {
        name: String,
        zone: Option<String>,
        /// The kind of the adapter that it came by, such as `lorawan`.
        protocol: Option<String>,
    },
    Zone {
        name: String,
    },
}

impl Subject {
    /// The device's name; `None` for a zone.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::Device { name, .. } => Some(name),
            Self::Zone { .. } => None,
        }
    }

    /// The zone's name, or that of the device's zone.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Device { zone, .. } => zone.as_deref(),
            Self::Zone { name } => Some(name),
        }
    }

    /// The kind of the adapter that a device came by.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        match self {
            Self::Device { protocol, .. } => protocol.as_deref(),
            Self::Zone { .. } => None,
        }
    }
}

/// The aggregate of a device or a zone in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// The gateway's id.
    pub gateway: String,
    pub subject: Subject,
    pub window: Window,
    /// In the order of the metrics' first readings.
    pub metrics: Vec<Metric>,
    /// 0 when the window is first closed, one more at each correction.
    pub revision: u32,
    /// How many readings came after the window had been due.
    pub late: u32,
    pub time_quality: TimeQuality,
}

/// One metric of an aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    /// A unit of SenML, such as `Cel`.
    pub unit: Option<String>,
    pub summary: Summary,
}

/// An alert raised or cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The gateway's id.
    pub gateway: String,
    pub device: String,
    pub zone: Option<String>,
    /// The kind of the adapter that the device came by, such as `lorawan`.
    pub protocol: Option<String>,
    /// `None` if the alert is about a device as a whole.
    pub metric: Option<String>,
    /// The name of the rule's `[alerts.*]` table, or `anomaly` for the model's own.
    pub rule: String,
    pub kind: AlertKind,
    pub state: AlertState,
    pub severity: Severity,
    pub value: Option<f64>,
    /// The anomaly score in 0..1 if the kind is anomaly.
    pub score: Option<f64>,
    pub anomaly_kind: Option<AnomalyKind>,
    /// The lowest and highest normal value, if the detector knows them.
    pub expected: Option<(f64, f64)>,
    /// When it was raised, in event time.
    pub since: Timestamp,
    /// When this happened, in event time.
    pub at: Timestamp,
    /// One line for people.
    pub message: String,
    /// The limit that the value passed; none where the kind of condition has none.
    pub limit: Option<f64>,
    /// Of one that was raised before and is told again; none for every other.
    pub notice: Option<Notice>,
}

/// The readings of one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The gateway's id.
    pub gateway: String,
    pub device: String,
    pub zone: Option<String>,
    pub protocol: Option<String>,
    /// Event time.
    pub time: Timestamp,
    /// Distinguishes messages of a device with the same time: 0, or a number that no other message of the device has.
    pub number: u32,
    /// Whether the device has given this time before: a receiver that keeps one value of each time replaces the earlier.
    pub same_time: bool,
    /// Values by the metrics' names.
    pub metrics: Vec<(String, f64)>,
}

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A later version of this program wrote it.
    #[error("a stored record has version {found}, this program reads {VERSION}")]
    OtherVersion {
        /// The record's version.
        found: u8,
    },
    #[error("a stored record is empty")]
    Empty,
    #[error("a stored record cannot be read")]
    Malformed(#[source] postcard::Error),
}

impl Record {
    /// The stored form: a version, then postcard.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Writing into memory does not fail: all sequences have a known length.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If the bytes are no record of this version or the one before.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        match bytes.split_first() {
            None => Err(DecodeError::Empty),
            Some((1, body)) => first::decode(body).map_err(DecodeError::Malformed),
            Some((&VERSION, body)) => postcard::from_bytes(body).map_err(DecodeError::Malformed),
            Some((found, _)) => Err(DecodeError::OtherVersion { found: *found }),
        }
    }

    /// The gateway's id.
    #[must_use]
    pub fn gateway(&self) -> &str {
        match self {
            Self::Aggregate(aggregate) => &aggregate.gateway,
            Self::Alert(alert) => &alert.gateway,
            Self::Reading(reading) => &reading.gateway,
        }
    }
}
