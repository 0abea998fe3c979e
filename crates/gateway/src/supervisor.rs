//! Adapters that never die: each runs in a task of its own and is started again after a pause when it fails. One
//! adapter's failure is nobody else's.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use gateway_core::ports::{Adapter, AdapterContext, AdapterState, Clock};
use gateway_core::{AdapterId, Backoff, Uplink};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pipeline::actions::Commanders;

/// An adapter that ran this long begins again with short pauses.
const GOOD_RUN: Duration = Duration::from_secs(300);

/// Commands that may wait for one adapter.
const WAITING_COMMANDS: usize = 64;

/// How to make an adapter, and from what: the same blueprint makes the same adapter.
pub(crate) struct Blueprint {
    pub(crate) id: AdapterId,
    /// Compared at a reload: an adapter whose fingerprint is the same runs on.
    pub(crate) fingerprint: u64,
    pub(crate) adapter: Box<dyn Adapter>,
}

struct Running {
    fingerprint: u64,
    stop: CancellationToken,
    task: JoinHandle<()>,
    state: watch::Receiver<AdapterState>,
}

/// The adapters that run.
pub(crate) struct Supervisor {
    running: BTreeMap<AdapterId, Running>,
    uplinks: mpsc::Sender<Vec<Uplink>>,
    commanders: Commanders,
    clock: Arc<dyn Clock>,
}

impl Supervisor {
    pub(crate) fn new(
        uplinks: mpsc::Sender<Vec<Uplink>>,
        commanders: Commanders,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { running: BTreeMap::new(), uplinks, commanders, clock }
    }

    /// Makes what runs equal to `blueprints`: stops what is gone or changed, starts what is new, leaves the rest alone.
    pub(crate) async fn become_like(&mut self, blueprints: Vec<Blueprint>) {
        let wanted: BTreeMap<AdapterId, Blueprint> =
            blueprints.into_iter().map(|blueprint| (blueprint.id.clone(), blueprint)).collect();
        let unwanted: Vec<AdapterId> = self
            .running
            .iter()
            .filter(|(id, running)| wanted.get(id).is_none_or(|new| new.fingerprint != running.fingerprint))
            .map(|(id, _)| id.clone())
            .collect();
        for id in unwanted {
            self.stop_one(&id).await;
        }
        for (id, blueprint) in wanted {
            if !self.running.contains_key(&id) {
                self.start(blueprint);
            }
        }
    }

    fn start(&mut self, Blueprint { id, fingerprint, adapter }: Blueprint) {
        let (commands, receiver) = mpsc::channel(WAITING_COMMANDS);
        let (sender, state) = watch::channel(AdapterState::Starting);
        let stop = CancellationToken::new();
        let context = AdapterContext {
            uplinks: self.uplinks.clone(),
            commands: receiver,
            state: sender,
            clock: Arc::clone(&self.clock),
            stop: stop.clone(),
        };
        self.commanders.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string(), commands);
        let task = tokio::spawn(keep_running(adapter, context));
        self.running.insert(id, Running { fingerprint, stop, task, state });
    }

    async fn stop_one(&mut self, id: &AdapterId) {
        self.commanders.lock().unwrap_or_else(PoisonError::into_inner).remove(id.as_str());
        if let Some(running) = self.running.remove(id) {
            running.stop.cancel();
            if let Err(error) = running.task.await {
                tracing::error!(adapter = %id, "the adapter ended oddly: {error}");
            }
        }
    }

    /// Stops all; when this returns, everything they took is in the pipeline's channel.
    pub(crate) async fn stop(&mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        let ids: Vec<AdapterId> = self.running.keys().cloned().collect();
        for id in ids {
            self.stop_one(&id).await;
        }
    }

    /// How each is doing.
    pub(crate) fn states(&self) -> BTreeMap<String, AdapterState> {
        let state = |running: &Running| {
            if running.task.is_finished() {
                return AdapterState::Down { reason: "stopped by a bug; please report it".to_owned() };
            }
            running.state.borrow().clone()
        };
        self.running.iter().map(|(id, running)| (id.to_string(), state(running))).collect()
    }

    /// Receivers of all states, to wait on.
    pub(crate) fn watch(&self) -> Vec<(AdapterId, watch::Receiver<AdapterState>)> {
        self.running.iter().map(|(id, running)| (id.clone(), running.state.clone())).collect()
    }
}

async fn keep_running(mut adapter: Box<dyn Adapter>, mut context: AdapterContext) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    while !context.stop.is_cancelled() {
        let begun = tokio::time::Instant::now();
        let Err(error) = adapter.run(&mut context).await else { return };
        if begun.elapsed() > GOOD_RUN {
            backoff.reset();
        }
        let reason = crate::telemetry::chain(&error);
        let wait = backoff.next_wait(rand::random());
        tracing::error!("{reason}; starting it again in {wait:.1?}");
        context.state.send_replace(AdapterState::Down { reason });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = context.stop.cancelled() => return,
        }
    }
}
