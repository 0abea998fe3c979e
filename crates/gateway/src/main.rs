//! `riser`, the gateway. This file only starts it: words are in `cli`, the work in `gateway` and the crate `pipeline`.

mod audit;
mod build;
mod cli;
mod gateway;
mod health;
mod history;
mod live_socket;
mod models;
mod reporter;
mod retrain;
mod supervisor;
mod telemetry;
mod upstream;
mod watchdog;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
