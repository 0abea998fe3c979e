//! `[upstream]`.

use std::path::PathBuf;

use gateway_core::settings::{ByteSize, HumanDuration, Secret};
use mqtt_link::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cloud broker that aggregates and alerts go to. Without this table nothing is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub struct Config {
    /// The broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port.
    #[schemars(example = "mqtts://broker.example.com:8883")]
    pub url: String,
    /// Which MQTT is spoken.
    #[serde(default)]
    pub protocol: Protocol,
    /// How Riser calls itself there. Default: `riser-<gateway id>`.
    #[serde(default)]
    #[schemars(example = "riser-hq-north")]
    pub client_id: Option<String>,
    /// User name, where the broker wants one.
    #[serde(default)]
    #[schemars(example = "hq-north")]
    pub username: Option<String>,
    /// The password itself; better beside this file, in `password_file`.
    #[serde(default)]
    #[schemars(example = &"secret")]
    pub password: Option<Secret>,
    /// A file with the password; its last newline is cut. Relative to this file's directory.
    #[serde(default)]
    #[schemars(example = "upstream.password")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the broker's own is checked against. Default: the machine's.
    #[serde(default)]
    #[schemars(example = "ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// Riser's own certificate (PEM), for a broker that wants one; needs `key_file`.
    #[serde(default)]
    #[schemars(example = "client.pem")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[serde(default)]
    #[schemars(example = "client.key")]
    pub key_file: Option<PathBuf>,
    /// A ping at least this often, so that a dead connection is noticed.
    #[serde(default = "default_keep_alive")]
    pub keep_alive: HumanDuration,
    /// What aggregates and alerts are written as; see docs/upstream-formats.md.
    #[serde(default)]
    pub format: Format,
    /// How payloads are compressed; not with `format = "sparkplug"`.
    #[serde(default)]
    pub compression: Compression,
    /// What waits here until the broker has it.
    #[serde(default)]
    pub outbox: Outbox,
}

impl Default for Config {
    /// No broker yet; else what stands in the file when nothing does.
    fn default() -> Self {
        Self {
            url: String::new(),
            protocol: Protocol::default(),
            client_id: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            keep_alive: default_keep_alive(),
            format: Format::default(),
            compression: Compression::default(),
            outbox: Outbox::default(),
        }
    }
}

const fn default_keep_alive() -> HumanDuration {
    HumanDuration::from_secs(30)
}

/// What upstream payloads are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UpstreamFormat")]
pub enum Format {
    /// JSON objects.
    #[default]
    Json,
    /// Packs of SenML (RFC 8428).
    Senml,
    /// Sparkplug B 3.0, on topics of its own.
    Sparkplug,
}

/// How upstream payloads are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Compression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// A zlib stream (RFC 1950).
    Zlib,
    /// A Zstandard frame (RFC 8878).
    Zstd,
}

/// The durable queue of what the cloud broker has not acknowledged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outbox {
    /// How much it may hold on disk.
    pub max_size: ByteSize,
    /// What goes when it is full; alerts go last, and what goes is counted.
    pub when_full: WhenFull,
    /// How many messages may be on their way at once; above 64 counts as 64, and a broker may allow fewer.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_in_flight: u16,
    /// How long a message may wait in memory for the cloud's acknowledgement before it is written to the outbox on disk;
    /// `"0s"`: every message is written. What a crash takes is made again from the journal, so `[journal]` must be on.
    pub spill_after: HumanDuration,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            max_size: ByteSize::mib(256),
            when_full: WhenFull::default(),
            max_in_flight: 64,
            spill_after: HumanDuration::from_secs(0),
        }
    }
}

/// What a full outbox gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest message.
    #[default]
    DropOldest,
    /// The message that has just come.
    DropNewest,
}
