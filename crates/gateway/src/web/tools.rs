//! What the page may ask for: checking a configuration, trying a codec.

use std::path::{Path, PathBuf};

use gateway_core::findings::{Findings, Level, Location};
use gateway_core::ports::Clock as _;
use gateway_http::site::{Finding, Tools};
use pipeline::clock::SystemClock;
use serde_json::Value;

/// Answers the page.
pub(super) struct GatewayTools {
    /// The configuration's file: relative paths start at its folder.
    path: PathBuf,
}

impl GatewayTools {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Tools for GatewayTools {
    fn check(&self, toml: &str) -> Vec<Finding> {
        findings(&gateway_config::check_text(&self.path, toml, SystemClock.now()))
    }

    fn decode(&self, row: &Value) -> Value {
        crate::cli::decode_row(row)
    }
}

pub(super) fn findings(findings: &Findings) -> Vec<Finding> {
    let one = |finding: &gateway_core::findings::Finding| {
        let (line, column) = match finding.place {
            Location::File { line, column } => (Some(line), Some(column)),
            Location::Environment(_) | Location::Flag(_) => (None, None),
        };
        Finding {
            severity: match finding.level {
                Level::Error => "error",
                Level::Warning => "warning",
            },
            file: findings.file().to_owned(),
            line,
            column,
            key: finding.key.to_string(),
            message: finding.text.clone(),
        }
    };
    findings.list().iter().map(one).collect()
}
