//! A forwarder's own figures.

use serde::{Deserialize, Serialize};

/// What a forwarder says of itself every half a minute or so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stat {
    /// Its clock, as it writes it.
    pub time: Option<String>,
    /// Degrees north.
    #[serde(rename = "lati")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(rename = "long")]
    pub longitude: Option<f64>,
    /// Metres above the sea.
    #[serde(rename = "alti")]
    pub altitude: Option<f64>,
    /// Frames received.
    #[serde(rename = "rxnb")]
    pub received: Option<f64>,
    /// Frames received with a right checksum.
    #[serde(rename = "rxok")]
    pub received_ok: Option<f64>,
    /// Frames forwarded.
    #[serde(rename = "rxfw")]
    pub forwarded: Option<f64>,
    /// Per cent of its datagrams that were acknowledged.
    #[serde(rename = "ackr")]
    pub acknowledged: Option<f64>,
    /// Downlink datagrams received.
    #[serde(rename = "dwnb")]
    pub downlinks: Option<f64>,
    /// Frames sent.
    #[serde(rename = "txnb")]
    pub sent: Option<f64>,
    /// Degrees Celsius.
    #[serde(rename = "temp")]
    pub temperature: Option<f64>,
}
