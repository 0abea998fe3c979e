//! A finding: a problem of a configuration and its position, printed as one line, in the order of the file.

use std::fmt;

use super::key_path::KeyPath;

/// Where a finding points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// In the file; both are counted from 1, the column in characters.
    File {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A `--set` on the command line.
    Flag(String),
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Riser does not start with it.
    Error,
    /// Riser starts; probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub place: Location,
    /// How bad.
    pub level: Level,
    /// Which key; the root where it is about no key.
    pub key: KeyPath,
    /// The problem, and what is allowed. Never contains a secret.
    pub text: String,
}

/// All findings of one configuration, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The file as the user named it; what every line begins with.
    file: String,
    list: Vec<Finding>,
}

impl Findings {
    /// Findings about `file`, sorted by position, without duplicates.
    pub fn new(file: &str, mut list: Vec<Finding>) -> Self {
        list.sort();
        list.dedup();
        Self { file: file.to_owned(), list }
    }

    /// The file as the user named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All of them, in order.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// Whether any of them keeps Riser from starting.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.level == Level::Error)
    }

    /// The warnings, a line each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.list.iter().filter(|finding| finding.level == Level::Warning).map(|finding| self.line(finding))
    }

    /// Takes `others` in, of the same file.
    pub fn extend(&mut self, others: Self) {
        self.list.extend(others.list);
        self.list.sort();
        self.list.dedup();
    }

    /// One line for `finding`.
    fn line(&self, finding: &Finding) -> String {
        let place = match &finding.place {
            Location::File { line, column } => format!("{}:{line}:{column}", self.file),
            Location::Environment(name) => format!("environment {name}"),
            Location::Flag(key) => format!("--set {key}"),
        };
        let level = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let separator = if finding.key.is_root() { "" } else { ": " };
        format!("{place}: {level}: {}{separator}{}", finding.key, finding.text)
    }
}

/// One line a finding.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|finding| writeln!(f, "{}", self.line(finding)))
    }
}
