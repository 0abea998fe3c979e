//! `[sinks.postgres.*]`.

use std::path::PathBuf;

use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// A PostgreSQL database. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PostgresSink")]
pub struct Config {
    /// Server and database: `postgres://host:port/database`. Several hosts are tried in turn:
    /// `postgres://a:5432,b:5432/database?target_session_attrs=read-write`. `?sslmode=require` encrypts.
    #[schemars(example = "postgres://localhost:5432/building")]
    pub url: String,
    /// The user name. Default: the name of the account that the gateway runs as.
    #[serde(default)]
    #[schemars(example = &"riser")]
    pub username: Option<String>,
    /// The password itself; better in a file of its own, `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    #[schemars(example = "postgres.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's own is checked against. With it, the connection is always encrypted.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// The schema of the tables.
    #[serde(default = "Config::usual_schema")]
    pub schema: String,
    /// Whether schema and tables are created if they are missing.
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
    fn usual_schema() -> String {
        "riser".to_owned()
    }

    const fn usual_create() -> bool {
        true
    }
}
