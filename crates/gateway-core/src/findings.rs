//! The findings of a configuration, reported all at once: each with its position, its key and a remedy.
//!
//! Every component that owns a table of `gateway.toml` checks it and writes what it finds into one [`Report`].

mod finding;
mod key_path;
mod report;

pub use finding::{Finding, Findings, Level, Location};
pub use key_path::{KeyPath, quoted, written};
pub use report::Report;

/// Returns `text` on one line, without its control characters.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
