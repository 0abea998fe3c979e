//! What is wrong with the gateway at the moment, gathered in one place: for the status, `health` and systemd. What the
//! outbox suffers is logged here too, once.

use std::sync::Arc;

use outbox::Damage;
use tokio::sync::watch;

/// Problems as texts; empty where there are none.
pub type Problems = watch::Receiver<Vec<String>>;

/// Joins the problems of the pipeline and of the outbox. The task ends when the pipeline does.
pub fn gather(
    mut pipeline: watch::Receiver<Vec<String>>,
    mut outbox: Option<watch::Receiver<outbox::Status>>,
) -> Problems {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut logged = Logged::default();
        loop {
            let mut problems = pipeline.borrow_and_update().clone();
            if let Some(outbox) = &mut outbox {
                let status = outbox.borrow_and_update();
                let (error, damage) = (status.last_error.clone(), status.damage.clone());
                drop(status);
                logged.log(error.as_deref(), damage);
                problems.extend(error.map(|error| format!("outbox: {error}")));
            }
            publish(&sender, problems);
            let outbox_changed = async {
                let Some(outbox) = &mut outbox else { return std::future::pending().await };
                if outbox.changed().await.is_err() {
                    // An outbox that has ended has no more problems.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                changed = pipeline.changed() => if changed.is_err() { return },
                () = outbox_changed => {}
            }
        }
    });
    receiver
}

/// What was logged of the outbox.
#[derive(Default)]
struct Logged {
    troubled: bool,
    damage: Option<Arc<Damage>>,
}

impl Logged {
    fn log(&mut self, error: Option<&str>, damage: Option<Arc<Damage>>) {
        match error {
            Some(why) if !self.troubled => tracing::error!("{why}; it is kept in memory and tried again"),
            None if self.troubled => tracing::info!("the outbox can be written again"),
            _ => {}
        }
        self.troubled = error.is_some();
        // Two damages may look alike; each is one of its own.
        if let Some(new) = damage
            && self.damage.as_ref().is_none_or(|old| !Arc::ptr_eq(old, &new))
        {
            log_damage(&new);
            self.damage = Some(new);
        }
    }
}

/// Logs what a damaged outbox has lost. It is repaired, so this is no current problem.
pub fn log_damage(damage: &Damage) {
    match &damage.lost {
        Some(lost) if lost.is_empty() => {
            tracing::error!("the outbox was damaged; no message was lost");
        }
        Some(lost) => {
            for (sink, lost) in lost {
                tracing::error!(
                    %sink,
                    messages = lost.entries,
                    readings = lost.weight,
                    "the outbox was damaged; what was lost is counted"
                );
            }
        }
        None => tracing::error!(
            "the outbox was damaged, its counters too; what is left is sent, and new messages get new numbers"
        ),
    }
}

/// Wakes receivers only where something has changed.
pub fn publish(sender: &watch::Sender<Vec<String>>, problems: Vec<String>) {
    sender.send_if_modified(|known| {
        let changed = *known != problems;
        *known = problems;
        changed
    });
}

#[cfg(test)]
mod tests;
