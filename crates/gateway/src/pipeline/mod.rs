//! An uplink's way through the gateway: decode, journal, windows and detectors, outbox. One owner of all state.
//!
//! A turn takes what has arrived, makes a [`Step`] of it, writes that to the journal, tells the senders, applies it to
//! the [`Engine`] and hands what came out to the outbox once the journal is synced that far. After a crash the steps
//! are applied again; outputs that the outbox holds already are recognised by their position.
//!
//! ```text
//! adapters --Uplink--> decode --Step--> journal --> engine --Outputs--> outbox --> upstream
//!                                          |           \--actions--> adapters
//!                                          +--> Ack
//! ```

pub(crate) mod actions;
mod checkpoint;
pub(crate) mod decode;
mod deliver;
pub(crate) mod directory;
mod durable;
pub(crate) mod engine;
pub(crate) mod ledger;
pub(crate) mod live;
pub(crate) mod payload;
pub(crate) mod registry;
mod sampled_log;
pub(crate) mod step;
pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use codecs::Codec;
use gateway_core::Uplink;
use gateway_core::ports::Clock;
use journal::Position;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::{ClockReading, StepWatch, monotonic};
use actions::{Action, Actions};
use decode::{Decoder, PendingAck};
use deliver::Waiting;
use directory::Directory;
pub(crate) use durable::{Durable, JournalMode, from_totals};
use engine::{Engine, Outputs, Settings};
use ledger::{Balance, Beyond};
use live::LiveFeed;
use payload::Identity;
use step::Step;

/// Most uplinks taken in one turn: bounds a step, and how long an alert may wait behind others.
const MAX_TURN: usize = 256;

/// Longest sleep while something is due later: the wall clock may be set meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// What the rest of the gateway asks of the pipeline.
pub(crate) enum Control {
    /// New configuration; windows and queue stay. Answered when it is in force.
    Reconfigure(Box<Reconfiguration>, oneshot::Sender<()>),
    /// The ledger, as of now.
    Balance(oneshot::Sender<Balance>),
}

/// What the state that was brought back still owes.
pub(crate) struct Undelivered {
    /// What came of steps after the outbox's mark.
    pub(crate) outputs: Vec<(Position, Outputs)>,
    /// The present configuration: in force from the first new step on.
    pub(crate) settings: Settings,
    /// Where nothing has been written down yet: how many readings the outbox has had all the same.
    pub(crate) new_store_after: Option<u64>,
}

/// What a reload changes.
pub(crate) struct Reconfiguration {
    pub(crate) settings: Settings,
    pub(crate) codecs: Vec<Arc<Codec>>,
    pub(crate) directory: Directory,
    pub(crate) actions: std::collections::BTreeMap<String, Vec<Action>>,
}

/// What a pipeline is made of.
pub(crate) struct Pipeline {
    pub(crate) engine: Engine,
    pub(crate) decoder: Decoder,
    pub(crate) actions: Actions,
    pub(crate) durable: Durable,
    pub(crate) live: LiveFeed,
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Pipeline {
    /// Hands over what a crash left undelivered: outbox entries of steps after the outbox's mark. Actions are not run
    /// again: they ran in the turn that took the step, and may be hours old.
    async fn deliver_recovered(&mut self, outputs: Vec<(Position, Outputs)>) {
        for (position, outputs) in outputs {
            self.hand_over(position, &outputs, Vec::new());
        }
        self.durable.settle(self.clock.now()).await;
    }

    /// Delivers what a crash left undelivered, then runs until all senders of uplinks are gone; then everything taken
    /// is stored.
    pub(crate) async fn run(
        mut self,
        undelivered: Undelivered,
        mut uplinks: mpsc::Receiver<Vec<Uplink>>,
        mut control: mpsc::Receiver<Control>,
    ) {
        self.deliver_recovered(undelivered.outputs).await;
        let after = undelivered.new_store_after;
        if after.is_some() || *self.engine.settings() != undelivered.settings {
            self.reconfigure(undelivered.settings, after).await;
        }
        let mut watch = StepWatch::new(self.clock.now(), monotonic());
        loop {
            let wake = self.wake_at();
            tokio::select! {
                batch = uplinks.recv() => {
                    let Some(batch) = batch else { break };
                    let batch = fill(batch, &mut uplinks);
                    let reading = watch.read(self.clock.now(), monotonic());
                    self.turn(batch, reading).await;
                }
                Some(request) = control.recv() => self.answer(request).await,
                () = self.durable.synced() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            let reading = watch.read(self.clock.now(), monotonic());
            let due = self.engine.next_deadline().is_some_and(|due| due <= reading.now.at);
            if (due || reading.stepped_from.is_some()) && !self.durable.gave_up() {
                self.turn(Vec::new(), reading).await;
            }
            self.durable.settle(reading.now.at).await;
            self.durable.checkpoint_when_due(&self.engine, reading.now.at).await;
        }
        self.durable.checkpoint(&self.engine, self.clock.now()).await;
    }

    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let wait = self.engine.next_deadline().map_or(MAX_SLEEP, |due| due.since(self.clock.now()));
        let due = now + wait.min(MAX_SLEEP);
        self.durable.due().map_or(due, |sync| sync.min(due))
    }

    async fn turn(&mut self, uplinks: Vec<Uplink>, ClockReading { now, stepped_from }: ClockReading) {
        if let Some(from) = stepped_from {
            tracing::warn!(%from, to = %now.at, "the clock was set");
        }
        let mut step = Step::tick(now, stepped_from, self.engine.registry().next_numbers());
        let mut acks: Vec<PendingAck> = Vec::new();
        self.decoder.decode(uplinks, &self.engine, &mut step, &mut acks);
        self.take(&step, acks).await;
    }

    /// Writes a step down, tells the senders, applies it and hands over what came of it.
    async fn take(&mut self, step: &Step, mut acks: Vec<PendingAck>) {
        let Some(position) = self.durable.record(step).await else {
            // The gateway is stopping and the disk refuses: unacknowledged, the senders keep their messages.
            return;
        };
        if !self.durable.acknowledges_after_sync() {
            acks.drain(..).for_each(|(ack, outcome)| ack.tell(outcome));
        }
        let mut outputs = Outputs::default();
        self.engine.apply(step, &mut outputs);
        outputs.alerts.iter().for_each(|alert| self.actions.run(alert));
        self.live.show(step, &outputs, self.engine.registry(), &self.identity);
        self.hand_over(position, &outputs, acks);
    }

    fn hand_over(&mut self, position: Position, outputs: &Outputs, acks: Vec<PendingAck>) {
        let entries = self.entries(outputs);
        if entries.is_empty() && acks.is_empty() {
            return;
        }
        let readings = outputs.aggregates.iter().map(|aggregate| u64::from(aggregate.readings)).sum();
        self.durable.push(Waiting { position, entries, acks, readings, urgent: !outputs.alerts.is_empty() });
    }

    fn entries(&self, outputs: &Outputs) -> Vec<outbox::Entry> {
        if !self.engine.settings().upstream {
            return Vec::new();
        }
        deliver::entries(outputs, self.engine.registry(), &self.identity)
    }

    /// A step of its own: steps from here on are judged by the new settings, those before by the old.
    async fn reconfigure(&mut self, settings: Settings, begins_after: Option<u64>) {
        let now = gateway_core::Now::at(self.clock.now());
        let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
        step.settings = Some(Box::new(settings));
        step.begins_after = begins_after;
        self.take(&step, Vec::new()).await;
    }

    async fn answer(&mut self, request: Control) {
        match request {
            Control::Reconfigure(new, done) => {
                let Reconfiguration { settings, codecs, directory, actions } = *new;
                self.decoder.reconfigure(codecs, directory);
                self.actions.reconfigure(actions);
                self.reconfigure(settings, None).await;
                let _ = done.send(());
            }
            Control::Balance(reply) => {
                let beyond = self.durable.beyond().await;
                let _ = reply.send(balance(&self.engine, beyond));
            }
        }
    }
}

/// The ledger of `engine` with what lies beyond it.
pub(crate) fn balance(engine: &Engine, beyond: Beyond) -> Balance {
    let name = |index| engine.registry().adapter(index).map_or_else(|| "?".to_owned(), ToString::to_string);
    Balance::draw(engine.ledger(), name, engine.open_readings(), beyond)
}

/// Takes what else has arrived already, up to a turn's worth.
fn fill(mut batch: Vec<Uplink>, uplinks: &mut mpsc::Receiver<Vec<Uplink>>) -> Vec<Uplink> {
    while batch.len() < MAX_TURN {
        match uplinks.try_recv() {
            Ok(more) => batch.extend(more),
            Err(_) => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests;
