//! `riser`, the gateway. This file only starts it: commands are in `cli`, the work in `gateway` and the crate `pipeline`.

mod build;
mod cli;
mod commands;
mod gateway;
mod supervisor;
mod telemetry;
mod upstream;
mod watchdog;
#[cfg(feature = "http")]
mod web;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
