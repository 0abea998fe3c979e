//! `riser run`.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArg, Exit, Failure, print_line};
use crate::gateway::{Gateway, StartError};
use crate::watchdog::{self, notify};
use gateway_config::{self as config, ConfigError, Loaded};
use gateway_core::ports::Clock as _;
use pipeline::clock::SystemClock;

/// Reads and checks the configuration; what is wrong in it goes to stdout, as with `riser check`.
pub(crate) fn load(config: &ConfigArg, environment: bool) -> Result<Loaded, Failure> {
    loaded(config::load(&config.options(environment), SystemClock.now()))
}

fn loaded(loaded: Result<Loaded, ConfigError>) -> Result<Loaded, Failure> {
    loaded.map_err(|error| match &error {
        ConfigError::Invalid { findings } => match print_line(findings.to_string().trim_end()) {
            Ok(()) => Failure::silent(exit(&error)),
            Err(failure) => failure,
        },
        _ => Failure::new(exit(&error), error.to_string()),
    })
}

const fn exit(error: &ConfigError) -> Exit {
    match error {
        ConfigError::NoneFound { .. } | ConfigError::Unreadable { .. } => Exit::NoInput,
        ConfigError::Invalid { .. } => Exit::Config,
    }
}

/// As [`load`], but no file at all means the defaults, with what environment and command line say: for commands that
/// need no gateway.
pub(crate) fn load_or_default(config: &ConfigArg) -> Result<Loaded, Failure> {
    let options = config.options(true);
    loaded(config::load_or_default(&options, SystemClock.now()))
}

pub(crate) fn run(config: &ConfigArg) -> Result<Exit, Failure> {
    crate::telemetry::start("info");
    let loaded = load(config, true)?;
    for warning in loaded.warnings.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = super::runtime()?;
    let exit = runtime.block_on(until_stopped(config, &loaded));
    // A thread that a disk holds is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn until_stopped(config: &ConfigArg, loaded: &Loaded) -> Result<Exit, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|e| Failure::new(Exit::Software, format!("cannot listen for signals: {e}")))
    };
    let (mut term, mut int, mut hup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    take_all_files();
    let mut gateway = Gateway::start(loaded).await.map_err(|error| failure(&error))?;
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(watchdog::ping(gateway.stages()));
    let shown = tokio::spawn(watchdog::show(gateway.problems(), all_is_well(loaded)));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            bug = gateway.died() => return Err(Failure::new(Exit::Software, bug)),
            _ = hup.recv() => {
                notify(&[sd_notify::NotifyState::Reloading]);
                // A reload may have to wait for a disk; a stop must not.
                tokio::select! {
                    () = reload(&mut gateway, config) => {}
                    _ = term.recv() => break,
                    _ = int.recv() => break,
                }
                notify(&[sd_notify::NotifyState::Ready]);
            }
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    watchdog.abort();
    shown.abort();
    tokio::select! {
        () = gateway.stop() => {}
        () = watchdog::ping_while_stopping() => {}
    }
    Ok(Exit::Fine)
}

/// As many open files as the process may have: each connection takes one, and a shell mostly gives 1024 at first.
fn take_all_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without it, fewer connections fit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// What `systemctl status` shows while nothing is wrong: after an installation, what to do next.
fn all_is_well(loaded: &Loaded) -> String {
    if loaded.config.upstream.is_some() {
        return "all is well".to_owned();
    }
    let file = loaded.path.display();
    format!("runs, and sends nothing to a cloud: fill in [upstream] in {file}, then restart")
}

/// A new file takes effect as a whole or not at all.
async fn reload(gateway: &mut Gateway, config: &ConfigArg) {
    let options = config.options(true);
    // Reads files and compiles codecs: beside the one thread on which everything else goes on.
    let loading = tokio::task::spawn_blocking(move || config::load(&options, SystemClock.now()));
    let loaded = match loading.await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(error)) => {
            tracing::error!("the new configuration is wrong, the old one stays in force:\n{error}");
            return;
        }
        Err(error) => {
            tracing::error!("the new configuration could not be read, the old one stays in force: {error}");
            return;
        }
    };
    match gateway.reload(&loaded).await {
        Ok(restart) if restart.is_empty() => tracing::info!("the new configuration is in force"),
        Ok(restart) => tracing::warn!(
            "the new configuration is in force, except for what needs a restart: {}",
            restart.join(", ")
        ),
        Err(error) => {
            tracing::error!("the new configuration cannot be used, the old one stays in force: {error}");
        }
    }
}

fn failure(error: &StartError) -> Failure {
    let exit = match error {
        StartError::DataDir { .. } => Exit::CannotCreate,
        StartError::Build(_) => Exit::Config,
        StartError::Broker(_) => Exit::Unavailable,
        StartError::Outbox(_) | StartError::Store(_) => Exit::CannotCreate,
    };
    Failure::new(exit, gateway_core::chain(error))
}
