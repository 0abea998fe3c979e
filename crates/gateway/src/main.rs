//! `riser`, the gateway. This file only starts it: words are in `cli`, the work in `gateway` and `pipeline`.

mod audit;
mod build;
mod cli;
mod clock;
mod codec_file;
mod config;
mod gateway;
mod health;
mod history;
mod live_socket;
mod models;
mod pipeline;
mod problems;
mod reporter;
mod retrain;
mod script_thread;
mod supervisor;
mod telemetry;
mod upstream;
mod watchdog;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
