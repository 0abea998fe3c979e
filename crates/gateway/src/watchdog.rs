//! Pings systemd's watchdog while every stage still answers: the runtime, the pipeline, the outbox's thread. Where one
//! hangs there is no ping, and systemd starts the gateway again.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use pipeline::Control;
use pipeline::problems::Problems;

/// The stages that are asked.
pub(crate) struct Stages {
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) outbox: Option<outbox::Handle>,
}

impl Stages {
    /// Returns when all have answered; never where one hangs or is gone, or a disk has not answered for `limit`.
    async fn answer(&self, limit: Duration) {
        let (reply, answer) = oneshot::channel();
        let asked = self.control.send(Control::Ping { limit, reply }).await.is_ok();
        if !asked || answer.await.is_err() {
            std::future::pending::<()>().await;
        }
        if let Some(outbox) = &self.outbox
            && outbox.ping().await.is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

/// Pings the watchdog, if systemd has set one, for ever.
pub(crate) async fn ping(stages: Stages) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        stages.answer(limit / 2).await;
        notify(&[sd_notify::NotifyState::Watchdog]);
        tokio::time::sleep(limit / 4).await;
    }
}

/// Shows in `systemctl status` what is wrong, for ever; `well` where nothing is.
pub(crate) async fn show(mut problems: Problems, well: String) {
    loop {
        let wrong = problems.borrow_and_update().join("; ");
        let text = if wrong.is_empty() { &well } else { &wrong };
        notify(&[sd_notify::NotifyState::Status(text)]);
        if problems.changed().await.is_err() {
            return;
        }
    }
}

/// Pings while the gateway stops, each part of which has a time limit; for ever.
pub(crate) async fn ping_while_stopping() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        notify(&[sd_notify::NotifyState::Watchdog]);
        tokio::time::sleep(limit / 4).await;
    }
}

/// Tells systemd, where it started us.
pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("cannot notify systemd: {error}");
    }
}
