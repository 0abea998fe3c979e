//! What a start opens before anything runs: the folder, the outbox, the stored state, the embedded broker. Each that
//! cannot be opened is a reason not to start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Tap};
use codecs::CodecTable;
use gateway_core::Condition;
use gateway_core::settings::BuildError;
use outbox::{Outbox, OutboxError};

use crate::build::{self, Embedded};
use gateway_config::Config;
use pipeline::JournalMode;
use pipeline::clock::SystemClock;
use pipeline::durable::store;
use pipeline::engine::registry::Registry;
use pipeline::engine::{Outputs, Settings};
use pipeline::problems;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// No place for its files.
    #[error("cannot create {}; set gateway.data_dir to a folder that this user may write", path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Broker(#[from] broker::BrokerError),
    #[error(transparent)]
    Outbox(#[from] outbox::OutboxError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// [`StartError::DataDir`] where it cannot be made.
pub(super) fn create_data_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(|source| StartError::DataDir { path: path.to_owned(), source })
}

/// How long a start waits for `riser audit` to have read the outbox of a gateway that was not running; and between two
/// tries.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The outbox, and whether damage was found in it.
pub(super) async fn open_outbox(config: &Config) -> Result<Option<(Outbox, bool)>, StartError> {
    let path = build::outbox_path(&config.gateway.data_dir);
    let sinks = build::sinks(config);
    // What was queued before `[upstream]` was taken out waits for its return.
    if sinks.is_empty() && !path.exists() {
        return Ok(None);
    }
    let options = build::outbox_options(config);
    let mut opened = Outbox::open(&path, options, &sinks);
    if matches!(opened, Err(OutboxError::InUse { .. })) {
        tracing::warn!(
            "the outbox is in use by another process, perhaps `riser audit`, which ends soon: waiting for it"
        );
        let mut waited = Duration::ZERO;
        while matches!(opened, Err(OutboxError::InUse { .. })) && waited < AUDIT_TIMEOUT {
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
            opened = Outbox::open(&path, options, &sinks);
        }
    }
    let (outbox, recovery) = opened?;
    if let Some(damage) = &recovery.damage {
        problems::log_damage(damage);
    }
    Ok(Some((outbox, recovery.damage.is_some())))
}

pub(super) fn open_store(
    config: &Config,
    settings: Settings,
    mark: u64,
    again: impl FnMut(&Outputs, &Registry),
) -> Result<(JournalMode, store::Recovered), StartError> {
    let data_dir = &config.gateway.data_dir;
    // Opened even where the journal is off: its lock keeps two gateways apart, and it may hold steps from before.
    let (journal, recovered) = store::open(data_dir, settings, mark, again)?;
    if recovered.replayed > 0 {
        tracing::info!(
            steps = recovered.replayed,
            open = recovered.engine.open_readings(),
            "state brought back"
        );
    }
    let mode = if config.journal.enabled {
        JournalMode::On { journal: Box::new(journal), sync_every: config.journal.sync_every.0 }
    } else {
        let mut journal = journal;
        journal.truncate_before(journal.next()).map_err(store::StoreError::from)?;
        store::forget(data_dir)?;
        JournalMode::Off { _lock: Box::new(journal) }
    };
    Ok((mode, recovered))
}

pub(super) async fn start_broker(
    config: &Config,
    codecs: &mut CodecTable,
) -> Result<(Option<Broker>, Option<Embedded>), StartError> {
    let Some(settings) = &config.broker else { return Ok((None, None)) };
    let tap = Tap::default();
    // What comes before the adapters have started waits for them.
    tap.set_subscriptions(build::wanted(config, codecs)?);
    let condition = Condition::new(Arc::new(SystemClock));
    let health = condition.watch();
    let settings = build::broker(settings, config)?;
    let broker = Broker::start(settings, tap.clone(), condition, Arc::new(SystemClock)).await?;
    let access = broker.local();
    Ok((Some(broker), Some(Embedded { tap, access, health })))
}
