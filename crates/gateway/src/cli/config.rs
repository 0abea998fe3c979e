//! `riser config`: what people start from, generated from the code.

use clap::ValueEnum;

use super::{Exit, Failure};
use gateway_config::reference;

/// Which of the three.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum What {
    /// gateway.toml with every key, commented
    Example,
    /// All keys in Markdown
    Reference,
    /// JSON Schema, for editors
    Schema,
}

pub(crate) fn print(what: What) -> Result<Exit, Failure> {
    let text = match what {
        What::Example => reference::example(),
        What::Reference => reference::reference(),
        What::Schema => reference::schema(),
    };
    super::print_line(text.trim_end())?;
    Ok(Exit::Fine)
}
