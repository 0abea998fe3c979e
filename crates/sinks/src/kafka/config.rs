//! `[sinks.kafka.*]`.

use std::path::PathBuf;

use gateway_core::settings::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// Topics of Apache Kafka. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaSink")]
pub struct Config {
    /// Brokers to begin with: host and port. They name the others.
    pub brokers: Vec<String>,
    /// The topic of a record: `{kind}` is `aggregates`, `alerts` or `readings`.
    #[serde(default = "Config::usual_topic")]
    pub topic: String,
    /// The user name, if the brokers want one (SASL).
    #[serde(default)]
    #[schemars(example = &"riser")]
    pub username: Option<String>,
    /// The password itself; better in a file of its own, `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    #[schemars(example = "kafka.password")]
    pub password_file: Option<PathBuf>,
    /// How the password is proved.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// Whether the connections are encrypted. Always with `ca_file`.
    #[serde(default)]
    pub tls: bool,
    /// Certificates (PEM) that the brokers' own are checked against. Default: Mozilla's authorities.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// How batches are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

impl Config {
    fn usual_topic() -> String {
        "riser.{kind}".to_owned()
    }
}

/// How a password is proved (SASL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "KafkaMechanism")]
pub enum Mechanism {
    /// It is sent as it is: together with TLS.
    #[default]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    Scram256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    Scram512,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KafkaCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}
