//! Adapters that never die: each runs in a task of its own, and is made and started again after a pause when it
//! fails or panics. An adapter's failure stays its own.
//!
//! Promises:
//! - A stop ends each adapter, within [`STOP_TIMEOUT`] and [`ABORT_TIMEOUT`] whatever it does; what it had not handed
//!   over by then was not acknowledged, and comes again.
//! - A reload leaves an adapter alone that it does not change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use adapters::kind::{Blueprint, Make};
use gateway_core::ports::{AdapterContext, Clock};
use gateway_core::{AdapterHealth, AdapterId, Backoff, Condition, Uplink, guarded};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use pipeline::deliver::actions::{Commander, Commanders};
use read_model::ReadModel;

/// An adapter that ran this long begins again with short pauses.
const GOOD_RUN: Duration = Duration::from_secs(300);

/// How long an adapter has to end once it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an adapter that was aborted has to let go. One that blocks its thread never does.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Commands that may wait for one adapter.
const WAITING_COMMANDS: usize = 64;

struct Running {
    fingerprint: u64,
    stop: CancellationToken,
    task: JoinHandle<()>,
    health: watch::Receiver<AdapterHealth>,
}

/// The adapters that run.
pub(crate) struct Supervisor {
    running: BTreeMap<AdapterId, Running>,
    /// What looks after itself, and is shown beside the adapters.
    others: BTreeMap<String, watch::Receiver<AdapterHealth>>,
    uplinks: mpsc::Sender<Vec<Uplink>>,
    commanders: Commanders,
    clock: Arc<dyn Clock>,
    read_model: ReadModel,
}

impl Supervisor {
    pub(crate) fn new(
        uplinks: mpsc::Sender<Vec<Uplink>>,
        commanders: Commanders,
        clock: Arc<dyn Clock>,
        read_model: ReadModel,
    ) -> Self {
        Self { running: BTreeMap::new(), others: BTreeMap::new(), uplinks, commanders, clock, read_model }
    }

    /// Shows `health` among the adapters', as `name`.
    pub(crate) fn also_show(&mut self, name: &str, health: watch::Receiver<AdapterHealth>) {
        self.others.insert(name.to_owned(), health);
        self.read_model.set_adapters(self.watch());
    }

    /// Shows it no more.
    #[cfg(feature = "http")]
    pub(crate) fn show_no_more(&mut self, name: &str) {
        self.others.remove(name);
        self.read_model.set_adapters(self.watch());
    }

    /// Makes what runs equal to `blueprints`: stops what is gone or changed, starts what is new, leaves the rest alone.
    pub(crate) async fn reconcile(&mut self, blueprints: Vec<Blueprint>) {
        let wanted: BTreeMap<AdapterId, Blueprint> =
            blueprints.into_iter().map(|blueprint| (blueprint.id.clone(), blueprint)).collect();
        let unwanted: Vec<AdapterId> = self
            .running
            .iter()
            .filter(|(id, running)| wanted.get(id).is_none_or(|new| new.fingerprint != running.fingerprint))
            .map(|(id, _)| id.clone())
            .collect();
        self.stop_these(unwanted).await;
        for (id, blueprint) in wanted {
            if !self.running.contains_key(&id) {
                self.start(blueprint);
            }
        }
        self.read_model.set_adapters(self.watch());
    }

    fn start(&mut self, Blueprint { id, fingerprint, make }: Blueprint) {
        let (commands, receiver) = mpsc::channel(WAITING_COMMANDS);
        let condition = Condition::new(Arc::clone(&self.clock));
        let health = condition.watch();
        let stop = CancellationToken::new();
        let commander = Commander { commands, condition: condition.clone() };
        let context = AdapterContext {
            uplinks: self.uplinks.clone(),
            commands: receiver,
            condition,
            clock: Arc::clone(&self.clock),
            stop: stop.clone(),
        };
        self.commanders.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string(), commander);
        let task = tokio::spawn(keep_running(id.clone(), make, context));
        self.running.insert(id, Running { fingerprint, stop, task, health });
    }

    /// All are asked first, so that together they take no longer than the slowest.
    async fn stop_these(&mut self, ids: Vec<AdapterId>) {
        let mut stopping = Vec::with_capacity(ids.len());
        for id in ids {
            self.commanders.lock().unwrap_or_else(PoisonError::into_inner).remove(id.as_str());
            if let Some(running) = self.running.remove(&id) {
                running.stop.cancel();
                stopping.push((id, running.task));
            }
        }
        let give_up = tokio::time::Instant::now() + STOP_TIMEOUT;
        for (id, mut task) in stopping {
            if tokio::time::timeout_at(give_up, &mut task).await.is_ok() {
                continue;
            }
            tracing::error!(adapter = %id, "the adapter did not stop within {STOP_TIMEOUT:.0?}; it is aborted");
            task.abort();
            if tokio::time::timeout(ABORT_TIMEOUT, task).await.is_err() {
                tracing::error!(adapter = %id, "the adapter blocks its thread, which is a bug: please report it");
            }
        }
    }

    /// Stops all; when this returns, everything they took is in the pipeline's channel.
    pub(crate) async fn stop(&mut self) {
        self.stop_these(self.running.keys().cloned().collect()).await;
    }

    /// How each is doing.
    fn watch(&self) -> Vec<(String, watch::Receiver<AdapterHealth>)> {
        let adapters = self.running.iter().map(|(id, running)| (id.to_string(), running.health.clone()));
        let others = self.others.iter().map(|(name, health)| (name.clone(), health.clone()));
        adapters.chain(others).collect()
    }
}

/// Until stopped.
async fn keep_running(id: AdapterId, make: Make, mut context: AdapterContext) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let begun = tokio::time::Instant::now();
        let reason = run_once(&make, &mut context).await;
        if context.stop.is_cancelled() {
            return;
        }
        if begun.elapsed() > GOOD_RUN {
            backoff.reset();
        }
        let wait = backoff.next_wait(rand::random());
        tracing::error!(adapter = %id, "{reason}; starting it again in {wait:.1?}");
        context.condition.down(reason);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = context.stop.cancelled() => return,
        }
        context.condition.restarted();
    }
}

/// Why it ended.
async fn run_once(make: &Make, context: &mut AdapterContext) -> String {
    let run = async {
        let mut adapter = make();
        adapter.run(context).await
    };
    match guarded(run).await {
        Ok(Ok(())) => "it ended unexpectedly".to_owned(),
        Ok(Err(error)) => gateway_core::chain(&error),
        Err(panic) => format!("a bug stopped it ({panic}); please report it"),
    }
}

#[cfg(test)]
mod tests;
