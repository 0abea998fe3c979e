//! `riser check`.

use gateway_core::ports::Clock as _;

use super::{ConfigArg, Exit, Failure, print_line};
use pipeline::clock::SystemClock;

pub(crate) fn check(config: &ConfigArg, environment: bool, deny_warnings: bool) -> Result<Exit, Failure> {
    let loaded = super::run::load(config, environment)?;
    let mut findings = loaded.warnings.clone();
    findings.extend(gateway_config::machine::probe(&loaded, SystemClock.now()));
    let text = findings.to_string();
    if !text.trim().is_empty() {
        print_line(text.trim_end())?;
    }
    let wrong = deny_warnings && findings.warnings().next().is_some();
    Ok(if wrong { Exit::Config } else { Exit::Fine })
}
