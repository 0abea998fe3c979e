//! The path of an uplink through the gateway: decode, journal, windows and detectors, outbox. One owner of all state.
//!
//! A batch takes the uplinks that have arrived, makes a [`Step`] of them, appends it to the journal, applies it to the
//! [`Engine`], acknowledges the senders, and hands the outputs to the outbox once the journal is synced that far. No batch
//! waits for a sync; only a checkpoint that is long overdue waits for the outbox, two seconds at most. After a crash the
//! steps are applied again; outputs that the outbox holds already are recognised by their position.
//!
//! ```text
//! adapters --Uplink--> decode --Step--> journal --> engine --Outputs--> outbox --> upstream
//!                       |  ^               |           \--actions--> adapters
//!                     scripts              +--> Ack
//! ```

pub mod acknowledging;
mod batches;
pub mod clock;
mod control;
pub mod decode;
pub mod deliver;
pub mod durable;
pub mod engine;
pub mod firmware;
pub mod observe;
pub mod problems;
pub mod scripts;
mod times;
pub mod training;

use std::sync::Arc;
use std::time::Duration;

use anomaly::multivariate::file::Stored;
use gateway_core::Uplink;
use gateway_core::ports::Clock;
use journal::Position;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use control::{Control, JournalFull, Reconfiguration, Report};

use batches::{batch_length, fill};
use clock::{ClockReading, StepWatch, ticks};
use decode::{Decoder, PendingAck};
use deliver::PendingOutputs;
use deliver::actions::Actions;
pub use deliver::balance;
use deliver::publish;
use deliver::records::Identity;
pub use durable::journaling::JournalMode;
use durable::reconcile::FoundAtStart;
pub use durable::{BytesWritten, Durable, DurableStart};
use engine::combinations::NewModel;
pub use engine::series::ModelCount;
use engine::step::Step;
use engine::{Engine, Outputs, Settings};
use read_model::ReadModel;
use scripts::Answered;
use times::{AWAY, by_new_clock, was_away};

/// Most models of devices in one step; a model has at most 64 KiB.
const MODELS_PER_STEP: usize = 8;

/// Longest sleep while something is due later: the wall clock may be set meanwhile.
const MAX_SLEEP: Duration = read_model::LEDGER_WHEN_IDLE;

/// How long a stop waits for scripts.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What the state that was brought back still owes.
pub struct Undelivered {
    /// What came of steps after the outbox's mark.
    pub outputs: Vec<(Position, Outputs)>,
    /// Windows, alerts and readings that came of any step since the checkpoint: the local history may lack them.
    pub remembered: history::Batch,
    /// The models of devices as a whole.
    pub models: Vec<Stored>,
    /// The present configuration: in force from the first new step on.
    pub settings: Settings,
    /// Whether the outbox's accounts may have readings that this state never saw, or lack some that it did.
    pub found: FoundAtStart,
    /// Steps were brought back from the journal.
    pub replayed: bool,
}

/// What a pipeline is made of.
pub struct Pipeline {
    pub engine: Engine,
    pub decoder: Decoder,
    pub actions: Actions,
    pub durable: Durable,
    pub read_model: ReadModel,
    pub identity: Identity,
    pub clock: Arc<dyn Clock>,
    /// What is wrong with the disk.
    pub problems: watch::Sender<Vec<String>>,
    /// Cancelled when the gateway stops: what cannot be taken then stays with its senders.
    pub stop: CancellationToken,
    /// Unanswered questions of the watchdog.
    pub pings: Vec<Ping>,
    /// When the read model's ledger is next brought up to date.
    pub ledger_due: Instant,
}

/// How long a disk may take, and the reply where it has not taken longer.
pub type Ping = (Duration, oneshot::Sender<()>);

impl Pipeline {
    /// Delivers what a crash left undelivered, then runs until all senders of uplinks are gone; then everything taken
    /// is stored.
    pub async fn run(
        mut self,
        undelivered: Undelivered,
        mut uplinks: mpsc::Receiver<Vec<Uplink>>,
        mut control: mpsc::Receiver<Control>,
    ) {
        publish::restored(&self.read_model, &self.engine);
        self.begin(undelivered).await;
        // Only now: the beginning may set the ledger right.
        let taken_before = self.engine.ledger().taken_in_all();
        let mut watch = StepWatch::new(self.clock.now(), ticks());
        let mut waiting: Vec<Uplink> = Vec::new();
        loop {
            let wake = self.wake_at();
            let ending = self.stop.is_cancelled();
            let open = self.durable.has_capacity() || ending;
            let may_come = open && waiting.is_empty() && (self.decoder.has_capacity() || ending);
            tokio::select! {
                batch = uplinks.recv(), if may_come => {
                    let Some(batch) = batch else { break };
                    waiting = fill(batch, &mut uplinks);
                }
                answered = self.decoder.answered(), if open => {
                    let reading = watch.read(self.clock.now(), ticks());
                    self.tick(answered, Vec::new(), reading);
                }
                Some(request) = control.recv() => self.answer(request, taken_before),
                () = self.durable.progress() => {}
                () = tokio::time::sleep_until(wake) => {}
                () = self.stop.cancelled(), if !may_come => {}
            }
            waiting = self.take_uplinks(waiting, &mut watch);
            let now = self.clock.now();
            self.tick_when_due(&mut watch, now);
            self.durable.settle(now);
            self.publish_ledger_when_due();
            self.durable.checkpoint_when_due(&self.engine, now).await;
            self.report_problems();
            self.answer_pings();
        }
        self.drain_scripts(&mut watch).await;
        self.durable.finish(&self.engine, self.clock.now()).await;
    }

    /// Takes uplinks, a step's worth at a time, while memory may hold more. Returns the others.
    fn take_uplinks(&mut self, mut uplinks: Vec<Uplink>, watch: &mut StepWatch) -> Vec<Uplink> {
        while !uplinks.is_empty() && (self.durable.has_capacity() || self.stop.is_cancelled()) {
            let later = uplinks.split_off(batch_length(&uplinks));
            let reading = watch.read(self.clock.now(), ticks());
            self.tick(Vec::new(), std::mem::replace(&mut uplinks, later), reading);
        }
        uplinks
    }

    fn tick_when_due(&mut self, watch: &mut StepWatch, now: gateway_core::Timestamp) {
        // Until the step can be taken, the watch keeps what it has to say.
        if !self.durable.has_tick_capacity() {
            return;
        }
        let reading = watch.read(now, ticks());
        let due = self.engine.next_deadline().is_some_and(|due| due <= now);
        if due || reading.stepped_from.is_some() || reading.away_since.is_some() {
            self.tick(Vec::new(), Vec::new(), reading);
        }
    }

    /// What scripts are still at when everything else is done; they have a while.
    async fn drain_scripts(&mut self, watch: &mut StepWatch) {
        let end = Instant::now() + DRAIN_TIMEOUT;
        while !self.decoder.is_idle() {
            let answered = tokio::time::timeout_at(end, self.decoder.answered()).await;
            let answered = answered.unwrap_or_else(|_| self.decoder.close());
            let reading = watch.read(self.clock.now(), ticks());
            self.tick(answered, Vec::new(), reading);
        }
    }

    /// Hands over what a crash left undelivered, and takes a first step: what has changed while the gateway did not run. Actions are
    /// not run again: they ran in the batch that took the step, and may be hours old.
    async fn begin(&mut self, undelivered: Undelivered) {
        for (position, mut outputs) in undelivered.outputs {
            // What no sink takes now would be counted by none.
            if !undelivered.settings.upstream {
                outputs.aggregates.clear();
            }
            if !self.durable.takes_readings() {
                outputs.readings.clear();
            }
            self.hand_over(position, &outputs);
        }
        self.durable.remember_again(undelivered.remembered).await;
        let now = gateway_core::Now::at(self.clock.now());
        let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
        let external = self.durable.external_accounts();
        let settings = &undelivered.settings;
        durable::reconcile::reconcile(undelivered.found, settings, &self.engine, &external, &mut step);
        if *self.engine.settings() != undelivered.settings {
            step.settings = Some(Box::new(undelivered.settings));
        }
        let listened_until = self.engine.listened_until();
        step.away_since = listened_until.filter(|until| was_away(*until, now.at));
        // A clock that now stands before the newest step was set; windows must not wait until it is there again.
        step.stepped_from = listened_until.filter(|until| now.at < *until);
        // The first step of a store holds its settings, so that none is ever judged by others.
        if self.engine.listened_until().is_none() && step.settings.is_none() {
            step.settings = Some(Box::new(self.engine.settings().clone()));
        }
        self.take(&step, Vec::new());
        self.learn(&self.engine.combinations().difference(undelivered.models));
        self.durable.settle(now.at);
        if undelivered.replayed {
            // What was read may be in the system's memory alone, where a sync once failed.
            self.durable.checkpoint_now(&self.engine, now.at).await;
        }
    }

    fn publish_ledger_when_due(&mut self) {
        if self.ledger_due <= Instant::now() {
            self.publish_ledger();
        }
    }

    fn publish_ledger(&mut self) {
        self.ledger_due = Instant::now() + read_model::LEDGER_EVERY;
        self.read_model
            .set_ledger(self.clock.now(), balance(&self.engine, &self.durable.external_accounts()));
    }

    /// Unanswered pings are kept: a disk that moves again answers them.
    fn answer_pings(&mut self) {
        let waited = self.durable.waited();
        for (_, reply) in self.pings.extract_if(.., |(limit, _)| waited < *limit) {
            let _ = reply.send(());
        }
    }

    fn report_problems(&self) {
        let mut problems = self.durable.problems();
        problems.extend(self.decoder.problem());
        if let Some(problem) = self.engine.models_are_full().map(no_room_for_models) {
            if !self.problems.borrow().contains(&problem) {
                tracing::warn!("{problem}");
            }
            problems.push(problem);
        }
        problems::publish(&self.problems, problems);
    }

    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let wait = self.engine.next_deadline().map_or(MAX_SLEEP, |due| due.since(self.clock.now()));
        // What is due and cannot be taken must not make this a busy loop.
        let wait = if self.durable.has_capacity() { wait } else { wait.max(AWAY) };
        let due = now + wait.min(MAX_SLEEP);
        self.durable.due().map_or(due, |sync| sync.min(due))
    }

    fn tick(&mut self, mut answered: Vec<Answered>, mut uplinks: Vec<Uplink>, reading: ClockReading) {
        let ClockReading { now, stepped_from, away_since } = reading;
        if let Some(from) = stepped_from {
            tracing::warn!(%from, to = %now.at, "the clock was set");
            let answered = answered.iter_mut().map(|answered| &mut answered.uplink);
            for uplink in uplinks.iter_mut().chain(answered).chain(self.decoder.waiting()) {
                uplink.received_at = by_new_clock(uplink.received_at, from, now.at);
            }
        }
        if let Some(since) = away_since {
            tracing::warn!(%since, until = %now.at, "the gateway received nothing: the machine slept, or this process stood still");
        }
        let mut step = Step::tick(now, stepped_from, self.engine.registry().next_numbers());
        step.away_since = away_since;
        let mut acks: Vec<PendingAck> = Vec::new();
        self.decoder.decode(answered, uplinks, &self.engine, &mut step, &mut acks);
        self.take(&step, acks);
    }

    /// Gives a step its place in the journal, applies it, hands over its outputs and acknowledges the senders.
    fn take(&mut self, step: &Step, acks: Vec<PendingAck>) {
        // Senders that are not acknowledged keep their messages.
        let Some(position) = self.durable.record(step) else { return };
        let mut outputs = Outputs::default();
        self.engine.apply(step, &mut outputs);
        outputs.alerts.iter().for_each(|alert| self.actions.run(alert, self.engine.registry()));
        publish::changes(&self.read_model, step, &outputs, &self.engine);
        publish::stream(&self.read_model, step, &outputs, self.engine.registry(), &self.identity);
        self.durable.remember(&outputs, self.engine.registry(), &self.identity);
        self.hand_over(position, &outputs);
        self.durable.acknowledge_when_safe(position, acks);
    }

    fn hand_over(&mut self, position: Position, outputs: &Outputs) {
        // Without a sink for aggregates the engine has dropped their readings already.
        let takes_aggregates = self.engine.settings().upstream;
        let takes_readings = self.durable.takes_readings();
        let others;
        let outputs = if takes_aggregates && (takes_readings || outputs.readings.is_empty()) {
            outputs
        } else {
            others = Outputs {
                aggregates: if takes_aggregates { outputs.aggregates.clone() } else { Vec::new() },
                alerts: outputs.alerts.clone(),
                readings: if takes_readings { outputs.readings.clone() } else { Vec::new() },
            };
            &others
        };
        if outputs.is_empty() {
            return;
        }
        let registry = self.engine.registry();
        self.durable.push(PendingOutputs {
            position,
            entries: deliver::entries(outputs, registry, &self.identity),
            shares: deliver::shares(outputs, registry),
            urgent: !outputs.alerts.is_empty(),
        });
    }

    /// A step of its own: steps from here on are judged by the new settings, those before by the old.
    fn reconfigure(&mut self, settings: Settings) {
        let now = gateway_core::Now::at(self.clock.now());
        let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
        step.settings = Some(Box::new(settings));
        self.take(&step, Vec::new());
    }

    /// Steps of their own, a few models each: the journal must be able to hold a step.
    fn learn(&mut self, models: &[NewModel]) {
        for models in models.chunks(MODELS_PER_STEP) {
            let now = gateway_core::Now::at(self.clock.now());
            let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
            step.models = models.to_vec();
            self.take(&step, Vec::new());
        }
    }

    /// Who asked may have gone away.
    fn answer(&mut self, request: Control, taken_before: u64) {
        match request {
            Control::Reconfigure(_, done) if !self.durable.has_tick_capacity() => {
                let _ = done.send(Err(JournalFull));
            }
            Control::Reconfigure(new, done) => {
                let Reconfiguration { settings, codecs, directory, actions, models } = *new;
                self.decoder.reconfigure(codecs, directory);
                self.actions.reconfigure(actions);
                self.reconfigure(settings);
                self.learn(&self.engine.combinations().difference(models));
                let _ = done.send(Ok(()));
            }
            Control::Learn(stored) => self.learn(&[NewModel::from(*stored)]),
            Control::Balance(reply) => {
                self.publish_ledger();
                let _ = reply.send(Report {
                    taken: self.engine.ledger().taken_in_all().saturating_sub(taken_before),
                    written: self.durable.bytes_written(),
                    models: self.engine.models(),
                });
            }
            Control::Firmware(reply) => {
                let _ = reply.send(firmware::rows(&self.engine));
            }
            Control::Raised(reply) => {
                let _ = reply.send(acknowledging::raised(&self.engine));
            }
            Control::Acknowledge(request, reply) => self.acknowledge(&request, reply),
            Control::Ping { limit, reply } => self.pings.push((limit, reply)),
        }
    }
}

/// The same text while it lasts, so that status and log report it once; `health` and `riser audit` count.
fn no_room_for_models(max: u32) -> String {
    format!(
        "anomaly: {max} series have a model, new ones are not scored; raise [anomaly] max_series if there is memory (16 KB each)"
    )
}

/// Whose readings the aggregates in `outputs` answer for.
pub fn shares(engine: &Engine, outputs: &Outputs) -> Vec<outbox::Share> {
    deliver::shares(outputs, engine.registry())
}

#[cfg(test)]
mod tests;
