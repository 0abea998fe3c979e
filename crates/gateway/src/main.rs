//! `riser`, the gateway. This file only starts it: words are in `cli`, the work in `gateway` and `pipeline`.

mod build;
mod cli;
mod clock;
mod config;
mod gateway;
mod health;
mod live_socket;
mod pipeline;
mod reporter;
mod supervisor;
mod telemetry;
mod upstream;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
