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

use super::connections::{ConnectionPlan, Connections};
use super::intake::{Counts, Intake, IntakeOptions};

/// Scan results queued for this task: after a start bluetoothd reports all devices at once.
const MAX_PENDING_RESULTS: usize = 8_192;
/// How often `health` gets new figures and absent beacons are reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The settings of `[adapters.ble.<name>]`, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    pub radio: RadioOptions,
    pub intake: IntakeOptions,
    pub plan: ConnectionPlan,
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
        let mut radio = Radio::start(self.settings.radio.clone(), MAX_PENDING_RESULTS, stop.clone());
        let mut intake = Intake::new(self.settings.intake.clone());
        let (plan, adapter) = (self.settings.plan.clone(), radio.adapter.clone());
        let mut connections =
            Connections::start(plan, self.id.clone(), adapter, condition.clone(), stop.clone());
        let mut report = Report::new(&self.id, &self.settings.radio.adapter, condition);
        let mut report_at = Instant::now();
        loop {
            if report_at <= Instant::now() {
                report_at = Instant::now() + REPORT_EVERY;
                intake.report_absent_beacons(clock.now(), Instant::now());
                report.figures(&mut intake, &radio.status.borrow(), connections.lost());
            }
            tokio::select! {
                () = stop.cancelled() => break,
                place = uplinks.reserve(), if intake.has_pending() => match place {
                    Ok(place) => place.send(intake.batch()),
                    // The pipeline has ended.
                    Err(_) => break,
                },
                Some(result) = radio.scan_results.recv() => intake.receive(&result, clock.now(), Instant::now()),
                Some(value) = connections.values.recv() => intake.take(value, clock.now()),
                Some(command) = commands.recv() => connections.command(command),
                Ok(()) = radio.status.changed() => report.status(&radio.status.borrow_and_update()),
                () = sleep_until(report_at) => {}
            }
        }
        connections.close().await;
        Ok(())
    }
}

/// Reports the state of the radio to `health` and the log.
struct Report<'a> {
    id: &'a AdapterId,
    condition: &'a Condition,
    part: Arc<str>,
    last: RadioStatus,
    /// How many values of connected devices were lost.
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
                warn!(adapter = %self.id, "ble: {} receives no advertisements: {}", self.part, step.name());
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
        intake.count_lost(status.lost.saturating_sub(self.last.lost));
        intake.count_lost(lost.saturating_sub(self.lost));
        self.lost = lost;
        self.last.lost = status.lost;
        self.condition.show(figures(&intake.counts, status));
    }
}

/// Figures by name. Those that are zero are left out, except `advertisements`.
fn figures(counts: &Counts, status: &RadioStatus) -> BTreeMap<String, u64> {
    let counted = [
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
    let counted = counted.into_iter().filter(|(_, count)| *count > 0);
    let figures = std::iter::once(("advertisements", counts.taken)).chain(counted);
    figures.map(|(name, count)| (name.to_owned(), count)).collect()
}
