//! `riser run`.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{ConfigArg, Exit, Failure, print_line};
use crate::config::{self, ConfigError, Loaded};
use crate::gateway::{Gateway, StartError};

/// Reads and checks the configuration; what is wrong in it goes to stdout, as with `riser check`.
pub(crate) fn load(config: &ConfigArg, environment: bool) -> Result<Loaded, Failure> {
    config::load(&config.options(environment)).map_err(|error| match &error {
        ConfigError::Invalid { findings } => match print_line(findings.to_string().trim_end()) {
            Ok(()) => Failure::silent(error.exit()),
            Err(failure) => failure,
        },
        _ => Failure::new(error.exit(), error.to_string()),
    })
}

/// As [`load`], but no configuration at all means the defaults: for commands that need no gateway.
pub(crate) fn load_or_default(config: &ConfigArg) -> Result<Loaded, Failure> {
    if config.config.is_none() && config::find().is_none() {
        return Ok(Loaded::default());
    }
    load(config, true)
}

pub(crate) fn run(config: &ConfigArg) -> Result<Exit, Failure> {
    crate::telemetry::start("info,mqtt5=off,mqtt5_protocol=off");
    let loaded = load(config, true)?;
    for warning in loaded.warnings.warnings() {
        tracing::warn!("{warning}");
    }
    super::runtime()?.block_on(until_stopped(config, &loaded))
}

async fn until_stopped(config: &ConfigArg, loaded: &Loaded) -> Result<Exit, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|e| Failure::new(Exit::Software, format!("cannot listen for signals: {e}")))
    };
    let (mut term, mut int, mut hup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    let mut gateway = Gateway::start(&loaded.config).await.map_err(|error| failure(&error))?;
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = CancellationToken::new();
    tokio::spawn(pat_watchdog(watchdog.clone()));
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
    gateway.stop().await;
    watchdog.cancel();
    Ok(Exit::Fine)
}

/// A new file takes effect as a whole or not at all.
async fn reload(gateway: &mut Gateway, config: &ConfigArg) {
    let loaded = match config::load(&config.options(true)) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!("the new configuration is wrong, the old one stays in force:\n{error}");
            return;
        }
    };
    match gateway.reload(&loaded.config).await {
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
    Failure::new(exit, crate::telemetry::chain(error))
}

/// Tells systemd, where it started us.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}

/// Shows systemd's watchdog that the runtime still turns.
async fn pat_watchdog(stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(limit / 2);
    loop {
        tokio::select! {
            _ = beat.tick() => notify(&[sd_notify::NotifyState::Watchdog]),
            () = stop.cancelled() => return,
        }
    }
}
