//! What the page needs of the configuration: replaced as a whole when it is reloaded.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The configuration as the page shows it.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The gateway's id.
    pub gateway: String,
    /// The length of a window, in milliseconds.
    pub window: i64,
    /// IANA name; times are shown in it.
    pub timezone: String,
    /// The configuration file.
    pub file: String,
    /// Its text, with each secret as `***`.
    pub toml: String,
    /// What `riser check` says of it, one line each.
    pub findings: Vec<Finding>,
    /// Devices with a `[devices.*]` table: name and address.
    pub named: BTreeMap<String, String>,
    pub rules: Vec<Rule>,
    /// Names of built-in codecs and of files that devices use.
    pub codecs: Vec<String>,
    /// Where `[upstream]` goes to, without a password.
    pub upstream: Option<String>,
}

/// One `[alerts.*]` table, or the anomaly model's own rule.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    /// One line for people.
    pub text: String,
    /// Which devices it is about.
    pub rule: alerts::Rule,
}

/// One line of `riser check`.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// `error` or `warning`.
    pub severity: &'static str,
    pub file: String,
    /// Counted from 1; none where it is about an environment variable or a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    pub key: String,
    pub message: String,
}

/// What the page may ask for, and only the binary knows how to do.
pub trait Tools: Send + Sync {
    /// Checks a text as `riser check` would. Changes nothing. May take some milliseconds.
    fn check(&self, toml: &str) -> Vec<Finding>;

    /// Reads one payload as `riser decode --batch` reads a row. May take as long as a codec may.
    fn decode(&self, row: &serde_json::Value) -> serde_json::Value;
}

/// Shared by all requests.
pub type SharedTools = Arc<dyn Tools>;
