//! `[sinks.mongodb.*]`.

use std::path::PathBuf;

use gateway_core::settings::Secret;
use outbox::Lane;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// A MongoDB database. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MongodbSink")]
pub struct Config {
    /// The servers: `mongodb://host:port`; of a replica set `mongodb://a,b,c/?replicaSet=name`. `?tls=true` encrypts.
    #[schemars(example = "mongodb://localhost:27017")]
    pub url: String,
    /// The database.
    #[schemars(example = &"building")]
    pub database: String,
    /// The user name, if the server wants one. It is looked up in the database `admin`, or `?authSource=` of the url.
    #[serde(default)]
    #[schemars(example = &"riser")]
    pub username: Option<String>,
    /// The password itself; better in a file of its own, `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    #[schemars(example = "mongo.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's own is checked against. With it, the connection is always encrypted.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// The collections.
    #[serde(default)]
    pub collections: Collections,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

/// The collections that records are written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MongodbCollections")]
pub struct Collections {
    /// That of aggregates.
    pub aggregates: String,
    /// That of alerts.
    pub alerts: String,
    /// That of readings.
    pub readings: String,
}

impl Default for Collections {
    fn default() -> Self {
        let own = |name: &str| name.to_owned();
        Self { aggregates: own("aggregates"), alerts: own("alerts"), readings: own("readings") }
    }
}

impl Collections {
    pub(super) fn of(&self, lane: Lane) -> &str {
        match lane {
            Lane::Aggregates => &self.aggregates,
            Lane::Alerts => &self.alerts,
            Lane::Readings => &self.readings,
        }
    }
}
