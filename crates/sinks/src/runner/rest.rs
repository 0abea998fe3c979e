//! What a sink does while nothing is queued: [`Sink::rest`](crate::sink::Sink::rest), again and again, with pauses after errors.
//!
//! An error of it stays in the sink's state until it succeeds, also while records are written.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use gateway_core::Backoff;
use outbox::Status;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{FIRST_PAUSE, LONGEST_PAUSE, Runner, chance, panicked};
use crate::sink::WriteError;

/// How the other work of a sink is doing.
#[derive(Debug)]
pub(super) struct RestState {
    backoff: Backoff,
    /// Why the last attempt failed, and when the next one is due.
    failed: Option<(String, Instant)>,
}

impl Default for RestState {
    fn default() -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), failed: None }
    }
}

impl RestState {
    pub(super) fn error(&self) -> Option<&str> {
        self.failed.as_ref().map(|(reason, _)| reason.as_str())
    }
}

impl Runner {
    /// Lets the sink do its other work until something is queued, or may be. An error means that the outbox is closed.
    pub(super) async fn wait_for_records(
        &mut self,
        status: &mut watch::Receiver<Status>,
        stop: &CancellationToken,
    ) -> Result<(), watch::error::RecvError> {
        loop {
            let due = self.rest.failed.as_ref().map(|(_, due)| *due);
            let rest = async {
                if let Some(due) = due {
                    sleep_until(due).await;
                }
                AssertUnwindSafe(self.sink.rest()).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
            };
            let rested = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = status.changed() => return changed,
                rested = rest => rested,
            };
            match rested {
                Ok(()) => self.rest_succeeded(),
                Err(WriteError::Retry { reason, .. } | WriteError::Refused { reason }) => {
                    self.rest_failed(reason);
                }
            }
        }
    }

    fn rest_succeeded(&mut self) {
        self.rest.backoff.reset();
        if let Some((reason, _)) = self.rest.failed.take() {
            tracing::info!(sink = self.name, "what failed while nothing was to be written has succeeded");
            self.state.send_modify(|state| {
                if state.last_error.as_ref() == Some(&reason) {
                    state.last_error = None;
                }
            });
        }
    }

    fn rest_failed(&mut self, reason: String) {
        let pause = self.rest.backoff.next_wait(chance(self.clock.now().as_millis()));
        if self.rest.error() != Some(&reason) {
            tracing::warn!(sink = self.name, "{reason}; trying again");
        }
        self.state.send_modify(|state| state.last_error = Some(reason.clone()));
        self.rest.failed = Some((reason, Instant::now() + pause));
    }
}
