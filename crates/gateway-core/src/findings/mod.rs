//! What is wrong with a configuration, told all at once: each finding with its place, its key and a remedy.
//!
//! Every component that owns a table of `gateway.toml` checks it and writes what it finds into one [`Report`].

mod finding;
mod key_path;
mod report;

pub use finding::{Finding, Findings, Level, Place};
pub use key_path::{KeyPath, quoted, written};
pub use report::Report;

/// `text` on one line, whatever control characters it holds.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
