//! `[sinks.http.*]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// An HTTP server that records are posted to. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpSink")]
pub struct Config {
    /// Where records are posted to: `http://` or `https://`, host, port and path.
    #[schemars(example = "http://localhost:8080/records")]
    pub url: String,
    /// Headers of each request, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Records of a request, at most.
    #[serde(default = "Config::usual_batch")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: u16,
    /// How the records of a request are written.
    #[serde(default)]
    pub format: Format,
    /// The token itself, sent as `Authorization: Bearer`; better in a file of its own, `token_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub token: Option<Secret>,
    /// A file with the token, sent as `Authorization: Bearer`.
    #[serde(default)]
    #[schemars(example = "http.token")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's own is checked against. Default: the machine's.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

impl Config {
    const fn usual_batch() -> u16 {
        500
    }
}

/// How the records of a request are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HttpFormat")]
pub enum Format {
    /// A JSON object a line (`application/x-ndjson`).
    #[default]
    Jsonl,
    /// One array of JSON objects (`application/json`).
    Json,
}
