//! `[sinks.influxdb.*]`.

use std::path::PathBuf;

use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// An InfluxDB that records are written to as line protocol. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InfluxdbSink")]
pub struct Config {
    /// The server: `http://` or `https://`, host and port.
    #[schemars(example = "http://localhost:8086")]
    pub url: String,
    /// The InfluxDB's version: 1, 2 or 3.
    #[serde(default = "Config::usual_version")]
    #[schemars(range(min = 1, max = 3))]
    pub version: u8,
    /// The database (versions 1 and 3). It is created if it is missing and the user may do that.
    #[serde(default)]
    #[schemars(example = &"building")]
    pub database: Option<String>,
    /// The organisation (version 2).
    #[serde(default)]
    #[schemars(example = &"home")]
    pub org: Option<String>,
    /// The bucket (version 2).
    #[serde(default)]
    #[schemars(example = &"building")]
    pub bucket: Option<String>,
    /// The token itself; better in a file of its own, `token_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub token: Option<Secret>,
    /// A file with the token (versions 2 and 3).
    #[serde(default)]
    #[schemars(example = "influxdb.token")]
    pub token_file: Option<PathBuf>,
    /// The user name (version 1), if the server wants one.
    #[serde(default)]
    #[schemars(example = &"riser")]
    pub username: Option<String>,
    /// The password itself; better in a file of its own, `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password (version 1).
    #[serde(default)]
    #[schemars(example = "influxdb.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's own is checked against. Default: the machine's.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// The measurement. Default: `aggregates`, `alerts` or `readings`, by what it is. It needs exactly one kind in `send`.
    #[serde(default)]
    #[schemars(example = &"climate")]
    pub measurement: Option<String>,
    /// The time of an aggregate.
    #[serde(default)]
    pub timestamp: Timestamp,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

impl Config {
    const fn usual_version() -> u8 {
        1
    }
}

/// Which end of its window is the time of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "InfluxdbTimestamp")]
pub enum Timestamp {
    /// The start of the window.
    #[default]
    Start,
    /// The end of the window.
    End,
}
