//! `[sinks.file.*]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::settings::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Send, Start};

/// Files that records are written to. See docs/sinks.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FileSink")]
pub struct Config {
    /// The folder, made if it is missing. `{data_dir}` stands for `gateway.data_dir`.
    #[serde(default = "Config::usual_path")]
    pub path: PathBuf,
    /// How records are written.
    #[serde(default)]
    pub format: Format,
    /// A new file begins whenever this much time has passed since 1970 (UTC): each midnight for `"1d"`.
    #[serde(default = "Config::usual_rotate")]
    pub rotate: HumanDuration,
    /// A new file begins before one is larger. With `"parquet"` it counts the lines that the file is made of, and is 256MiB at
    /// most.
    #[serde(default = "Config::usual_max_size")]
    pub max_size: ByteSize,
    /// What is written.
    #[serde(default = "Send::usual")]
    pub send: Vec<Send>,
    /// Where the sink begins when it is new: `"now"`, with the next record, or `"oldest"`, with the oldest that is still stored.
    #[serde(default)]
    pub start: Start,
}

impl Config {
    fn usual_path() -> PathBuf {
        PathBuf::from("{data_dir}/export")
    }

    const fn usual_rotate() -> HumanDuration {
        HumanDuration(Duration::from_secs(86_400))
    }

    const fn usual_max_size() -> ByteSize {
        ByteSize::mib(64)
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FileFormat")]
pub enum Format {
    /// A JSON object a line, as on the cloud's topics.
    #[default]
    Jsonl,
    /// Comma-separated values with a line of column names (RFC 4180).
    Csv,
    /// Apache Parquet, compressed with zstd. A file is made when no more is written to it; until then its records are lines of
    /// text.
    Parquet,
}

impl Format {
    /// What a file's name ends with.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}
