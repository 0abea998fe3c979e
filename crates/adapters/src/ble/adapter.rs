//! The adapter: one task between the radio and the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ble_link::{Radio, RadioOptions, RadioState, RadioStatus};
use gateway_core::ports::{Adapter, AdapterContext, AdapterError};
use gateway_core::{AdapterId, Condition};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connections::{Connections, Plan};
use super::intake::{Counts, Intake, Listener};

/// Advertisements that wait for this task: after a start bluetoothd tells of all devices at once.
const ROOM: usize = 8_192;
/// How often `health` gets new figures, and beacons that have left are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What `[adapters.ble.<name>]` says, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The radio's.
    pub radio: RadioOptions,
    /// Who is heard.
    pub listener: Listener,
    /// Who is connected to.
    pub plan: Plan,
}

/// The devices of `[adapters.ble.<name>]`.
pub struct BleAdapter {
    id: AdapterId,
    settings: Settings,
}

impl BleAdapter {
    /// An adapter that has not started.
    #[must_use]
    pub const fn new(id: AdapterId, settings: Settings) -> Self {
        Self { id, settings }
    }
}

#[async_trait]
impl Adapter for BleAdapter {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let AdapterContext { uplinks, commands, condition, clock, stop } = context;
        let mut radio = Radio::start(self.settings.radio.clone(), ROOM, stop.clone());
        let mut intake = Intake::new(self.settings.listener.clone());
        let (plan, adapter) = (self.settings.plan.clone(), radio.adapter.clone());
        let mut connections =
            Connections::start(plan, self.id.clone(), adapter, condition.clone(), stop.clone());
        let mut report = Report::new(&self.id, &self.settings.radio.adapter, condition);
        let mut look_at = Instant::now();
        loop {
            if look_at <= Instant::now() {
                look_at = Instant::now() + LOOK_EVERY;
                intake.look_for_the_missing(clock.now(), Instant::now());
                report.figures(&mut intake, &radio.status.borrow(), connections.lost());
            }
            tokio::select! {
                () = stop.cancelled() => break,
                place = uplinks.reserve(), if intake.has_waiting() => match place {
                    Ok(place) => place.send(intake.batch()),
                    // The pipeline has ended.
                    Err(_) => break,
                },
                Some(heard) = radio.scan_results.recv() => intake.hear(&heard, clock.now(), Instant::now()),
                Some(value) = connections.values.recv() => intake.take(value, clock.now()),
                Some(command) = commands.recv() => connections.command(command),
                Ok(()) = radio.status.changed() => report.status(&radio.status.borrow_and_update()),
                () = sleep_until(look_at) => {}
            }
        }
        connections.close().await;
        Ok(())
    }
}

/// Tells `health` and the log how the radio is doing.
struct Report<'a> {
    id: &'a AdapterId,
    condition: &'a Condition,
    part: Arc<str>,
    last: RadioStatus,
    /// Values of connected devices that were lost, so far.
    lost: u64,
}

impl<'a> Report<'a> {
    fn new(id: &'a AdapterId, adapter: &str, condition: &'a Condition) -> Self {
        Self { id, condition, part: adapter.into(), last: RadioStatus::default(), lost: 0 }
    }

    fn status(&mut self, status: &RadioStatus) {
        let RadioStatus { state, problem, .. } = status;
        self.condition.part(&self.part, state.name(), problem.clone());
        match (state, problem) {
            (_, Some(problem)) => {
                if self.last.problem.as_ref() != Some(problem) {
                    warn!(adapter = %self.id, "ble: {problem}; tried again until it works");
                }
                self.condition.down(problem);
            }
            (RadioState::Connecting | RadioState::Off, None) => {}
            (RadioState::Silent(step), None) => {
                warn!(adapter = %self.id, "ble: {} hears nothing: {}", self.part, step.name());
            }
            (RadioState::Active | RadioState::Passive | RadioState::Idle, None) => {
                if self.last.state != *state {
                    info!(adapter = %self.id, "ble: {} is {}", self.part, state.name());
                }
                self.condition.up();
            }
        }
        self.last = status.clone();
    }

    fn figures(&mut self, intake: &mut Intake, status: &RadioStatus, lost: u64) {
        intake.lose(status.lost.saturating_sub(self.last.lost));
        intake.lose(lost.saturating_sub(self.lost));
        self.lost = lost;
        self.last.lost = status.lost;
        self.condition.show(figures(&intake.counts, status));
    }
}

/// Figures by name; what never happened is left out, but for what one looks for first.
fn figures(counts: &Counts, status: &RadioStatus) -> BTreeMap<String, u64> {
    let happened = [
        ("values", counts.values),
        ("unknown_format", counts.unknown_format),
        ("unknown_device", counts.unknown_device),
        ("heard_elsewhere", counts.elsewhere),
        ("oversized", counts.oversized),
        ("lost", counts.lost),
        ("scan_restarts", status.scan_restarts),
        ("power_cycles", status.power_cycles),
        ("sessions_rebuilt", status.sessions_rebuilt),
    ];
    let happened = happened.into_iter().filter(|(_, count)| *count > 0);
    let figures = std::iter::once(("advertisements", counts.taken)).chain(happened);
    figures.map(|(name, count)| (name.to_owned(), count)).collect()
}
