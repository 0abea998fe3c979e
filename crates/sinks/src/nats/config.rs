//! `[sinks.nats.*]`.

use std::path::PathBuf;

use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// A stream of NATS JetStream. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NatsSink")]
pub struct Config {
    /// The servers: `nats://host:port`, encrypted `tls://host:port`; several of a cluster with commas between them.
    #[schemars(example = "nats://localhost:4222")]
    pub url: String,
    /// The user name, if the server wants one.
    #[serde(default)]
    #[schemars(example = &"riser")]
    pub username: Option<String>,
    /// The password itself; better in a file of its own, `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    #[schemars(example = "nats.password")]
    pub password_file: Option<PathBuf>,
    /// A file with credentials as `nsc` writes them (a JWT and a seed), instead of user name and password.
    #[serde(default)]
    #[schemars(example = "riser.creds")]
    pub credentials_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's own is checked against. With it, the connection is always encrypted.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// The subject of a record: `{gateway}`, `{kind}` (`aggregates`, `alerts` or `readings`) and `{device}` are replaced.
    #[serde(default = "Config::usual_subject")]
    pub subject: String,
    /// The stream that keeps the records.
    #[serde(default = "Config::usual_stream")]
    pub stream: String,
    /// Whether the stream is created if it is missing.
    #[serde(default = "Config::usual_create")]
    pub create: bool,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

impl Config {
    fn usual_subject() -> String {
        "riser.{gateway}.{kind}.{device}".to_owned()
    }

    fn usual_stream() -> String {
        "riser".to_owned()
    }

    const fn usual_create() -> bool {
        true
    }
}
