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
    /// The metrics of /metrics in Markdown
    #[cfg(feature = "http")]
    Metrics,
}

pub(crate) fn print(what: ConfigOutput) -> Result<Exit, Failure> {
    let text = match what {
        ConfigOutput::Example => reference::example(),
        ConfigOutput::Reference => reference::reference(),
        ConfigOutput::Schema => reference::schema(),
        #[cfg(feature = "http")]
        ConfigOutput::Metrics => gateway_http::metrics::reference(),
    };
    super::print_line(text.trim_end())?;
    Ok(Exit::Fine)
}
