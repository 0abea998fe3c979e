//! `riser config`: what people start from, generated from the code.

use clap::ValueEnum;

use super::{Exit, Failure};
use gateway_config::reference;

/// Which of the three.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ConfigOutput {
    /// gateway.toml with every key, commented
    Example,
    /// All keys in Markdown
    Reference,
    /// JSON Schema, for editors
    Schema,
}

pub(crate) fn print(what: ConfigOutput) -> Result<Exit, Failure> {
    let text = match what {
        ConfigOutput::Example => reference::example(),
        ConfigOutput::Reference => reference::reference(),
        ConfigOutput::Schema => reference::schema(),
    };
    super::print_line(text.trim_end())?;
    Ok(Exit::Fine)
}
