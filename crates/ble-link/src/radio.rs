//! The task that scans through one adapter as long as the gateway runs. It opens sessions, keeps the scan running, and takes
//! the steps of [`Recovery`] when no advertisement arrives.
//!
//! It never gives up and never waits for the reader: scan results that do not fit into the queue are counted and dropped.

use std::time::Duration;

use gateway_core::Backoff;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::adapter::BluetoothAdapter;
use crate::backend::{Scanning, Session, SessionEvent};
use crate::error::BluetoothError;
use crate::recovery::{Recovery, RecoveryStep};
use crate::scan_result::ScanResult;
use crate::simulated::SimulatedRadio;

/// Pauses between two attempts.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A scan that stops for less than this (while a device is being connected) needs no restart.
const SETTLE_TIME: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanMode {
    /// No scan: the adapter is used for connections only.
    Off,
    /// Requests scan responses, in which some devices send their name and values.
    Active,
    /// Sends nothing, if bluetoothd supports that; otherwise as [`Self::Active`].
    Passive,
}

/// The type of an AD structure and the first bytes of its data.
pub type Pattern = (u8, Vec<u8>);

#[derive(Debug, Clone)]
pub struct RadioOptions {
    /// Its name (`hci0`) or its address.
    pub adapter: String,
    pub scan: ScanMode,
    /// The patterns of a passive scan.
    pub patterns: Vec<Pattern>,
    /// After this time without an advertisement recovery begins.
    pub silent_after: Duration,
    /// Used in place of an adapter.
    pub simulated: Option<SimulatedRadio>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RadioState {
    /// No session with bluetoothd.
    #[default]
    Connecting,
    /// The adapter is switched off or refuses to scan.
    Off,
    /// An active scan runs.
    Active,
    /// A passive scan runs.
    Passive,
    /// The configuration asks for no scan.
    Idle,
    /// A scan runs and no advertisement arrives. This recovery step was taken last.
    Silent(RecoveryStep),
}

impl RadioState {
    /// The name shown in `health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Off => "off",
            Self::Active => "scanning",
            Self::Passive => "scanning passively",
            Self::Idle => "idle",
            Self::Silent(step) => step.name(),
        }
    }
}

/// The state of a radio and its counters since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RadioStatus {
    pub state: RadioState,
    /// The error message, if it does not work.
    pub problem: Option<String>,
    /// Restarts of the scan.
    pub scan_restarts: u64,
    /// Power cycles of the adapter.
    pub power_cycles: u64,
    /// Sessions after the first.
    pub sessions_rebuilt: u64,
    /// Scan results that did not fit into the queue.
    pub lost: u64,
}

/// The outputs of a running radio task.
#[derive(Debug)]
pub struct Radio {
    pub scan_results: mpsc::Receiver<ScanResult>,
    pub status: watch::Receiver<RadioStatus>,
    /// For GATT connections; `None` while there is no session.
    pub adapter: watch::Receiver<Option<BluetoothAdapter>>,
}

impl Radio {
    /// Starts the task, which runs until `stop`. At most `capacity` scan results are queued.
    #[must_use]
    pub fn start(options: RadioOptions, capacity: usize, stop: CancellationToken) -> Self {
        let (results_to, scan_results) = mpsc::channel(capacity);
        let (status_to, status) = watch::channel(RadioStatus::default());
        let (adapter_to, adapter) = watch::channel(None);
        if let Some(simulated) = options.simulated {
            status_to.send_replace(RadioStatus { state: RadioState::Active, ..RadioStatus::default() });
            tokio::spawn(async move {
                // Keeps the channels open as long as the task runs.
                let _keep_open = (status_to, adapter_to);
                stop.run_until_cancelled(simulated.relay(results_to)).await;
            });
            return Self { scan_results, status, adapter };
        }
        let backoff = Backoff::new(MIN_BACKOFF, MAX_BACKOFF);
        let recovery = Recovery::new(options.silent_after, Instant::now());
        let task = RadioTask {
            options,
            scan_results: results_to,
            status: status_to,
            adapter: adapter_to,
            backoff,
            recovery,
            scanning_state: RadioState::Active,
        };
        tokio::spawn(async move {
            stop.run_until_cancelled(task.run()).await;
        });
        Self { scan_results, status, adapter }
    }
}

struct RadioTask {
    options: RadioOptions,
    scan_results: mpsc::Sender<ScanResult>,
    status: watch::Sender<RadioStatus>,
    adapter: watch::Sender<Option<BluetoothAdapter>>,
    backoff: Backoff,
    recovery: Recovery,
    /// [`RadioState::Active`] or [`RadioState::Passive`], as the scan was started.
    scanning_state: RadioState,
}

impl RadioTask {
    async fn run(mut self) {
        loop {
            let ended = self.session().await;
            self.adapter.send_replace(None);
            let pause = match ended {
                // Recovery asks for a new session.
                Ok(()) => Duration::ZERO,
                Err(error) => {
                    self.set_status(RadioState::Connecting, Some(gateway_core::chain(&error)));
                    self.backoff.next_wait(0.0)
                }
            };
            sleep(pause).await;
            self.increment(|status| &mut status.sessions_rebuilt);
        }
    }

    /// Runs one session; `Ok` if recovery asks for a new one.
    async fn session(&mut self) -> Result<(), BluetoothError> {
        let adapter = BluetoothAdapter::open(&self.options.adapter).await?;
        let (mut session, results) = adapter.0.session(&self.options).await?;
        self.adapter.send_replace(Some(adapter));
        self.recovery.scan_started(Instant::now());
        results.into_iter().for_each(|result| self.deliver(result));
        let mut check_at = Some(Instant::now());
        loop {
            if check_at.is_some_and(|at| at <= Instant::now()) {
                check_at = self.check(&mut *session).await?.map(|pause| Instant::now() + pause);
            }
            if self.options.scan != ScanMode::Off
                && let Some(step) = self.recovery.next_step(Instant::now())
            {
                if step == RecoveryStep::Rebuild {
                    self.set_status(RadioState::Silent(step), None);
                    session.stop_scan().await;
                    session.close().await;
                    return Ok(());
                }
                check_at = self.recover(step, &mut *session).await?.map(|pause| Instant::now() + pause);
            }
            let ladder_due = (self.options.scan != ScanMode::Off).then(|| self.recovery.due());
            let due = [check_at, ladder_due].into_iter().flatten().min();
            tokio::select! {
                event = session.next() => match event? {
                    SessionEvent::ScanResult(result) => {
                        self.record_activity();
                        self.deliver(result);
                    }
                    SessionEvent::Presence => self.record_activity(),
                    SessionEvent::Notification => self.recovery.notification_received(Instant::now()),
                    SessionEvent::Changed => check_at = Some(Instant::now()),
                    SessionEvent::Restarted => self.increment(|status| &mut status.scan_restarts),
                    SessionEvent::Stopped => {
                        let settled = Instant::now() + SETTLE_TIME;
                        check_at = Some(check_at.map_or(settled, |at| at.min(settled)));
                    }
                },
                () = until(due) => {}
            }
        }
    }

    /// Makes sure that the adapter is on and scans. Returns when to try again, if it does not.
    async fn check(&mut self, session: &mut dyn Session) -> Result<Option<Duration>, BluetoothError> {
        match session.ensure_scanning().await {
            Ok(Scanning { state, was_restarted }) => {
                if was_restarted {
                    self.increment(|status| &mut status.scan_restarts);
                }
                self.backoff.reset();
                self.scanning_state = state;
                self.set_status(state, None);
                Ok(None)
            }
            Err(error) => self.retry_later(error),
        }
    }

    async fn recover(
        &mut self,
        step: RecoveryStep,
        session: &mut dyn Session,
    ) -> Result<Option<Duration>, BluetoothError> {
        let step = match step {
            RecoveryStep::PowerCycle if !session.can_power_cycle() => RecoveryStep::RestartScan,
            step => step,
        };
        self.set_status(RadioState::Silent(step), None);
        session.stop_scan().await;
        if step == RecoveryStep::PowerCycle {
            self.increment(|status| &mut status.power_cycles);
            if let Err(error) = session.power_cycle().await {
                return self.retry_later(error);
            }
        } else {
            self.increment(|status| &mut status.scan_restarts);
        }
        match session.ensure_scanning().await {
            Ok(_) => Ok(None),
            Err(error) => self.retry_later(error),
        }
    }

    /// Reports an error that a retry may solve and returns the pause. Any other error ends the session.
    fn retry_later(&mut self, error: BluetoothError) -> Result<Option<Duration>, BluetoothError> {
        match error {
            BluetoothError::PoweredOff { .. }
            | BluetoothError::Refused { .. }
            | BluetoothError::Timeout { .. } => {
                self.set_status(RadioState::Off, Some(gateway_core::chain(&error)));
                Ok(Some(self.backoff.next_wait(0.0)))
            }
            error => Err(error),
        }
    }

    /// An advertisement or another sign of a device was received.
    fn record_activity(&mut self) {
        self.recovery.advertisement_received(Instant::now());
        let was_silent = matches!(self.status.borrow().state, RadioState::Silent(_));
        if was_silent {
            self.set_status(self.scanning_state, None);
        }
    }

    fn deliver(&self, result: ScanResult) {
        if self.scan_results.try_send(result).is_err() {
            self.increment(|status| &mut status.lost);
        }
    }

    fn set_status(&self, state: RadioState, problem: Option<String>) {
        self.status.send_if_modified(|status| {
            let has_changed = status.state != state || status.problem != problem;
            (status.state, status.problem) = (state, problem);
            has_changed
        });
    }

    /// Increments a counter without waking the receivers of the status.
    fn increment(&self, counter: impl Fn(&mut RadioStatus) -> &mut u64) {
        self.status.send_if_modified(|status| {
            let count = counter(status);
            *count = count.saturating_add(1);
            false
        });
    }
}

pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
