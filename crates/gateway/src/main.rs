//! `riser`, the gateway. This file only starts it: commands are in `cli`, the work in `gateway` and the crate `pipeline`.

mod build;
mod cli;
mod gateway;
mod supervisor;
mod telemetry;
mod upstream;
#[cfg(feature = "http")]
mod web;
mod watchdog;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
