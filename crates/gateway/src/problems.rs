//! What is wrong with the gateway at the moment, gathered in one place: for the status, `health` and systemd.

use tokio::sync::watch;

/// Problems in words, none where all is well.
pub(crate) type Problems = watch::Receiver<Vec<String>>;

/// Joins what the pipeline and the outbox complain of. The task ends when the pipeline does.
pub(crate) fn gather(
    mut pipeline: watch::Receiver<Vec<String>>,
    mut outbox: Option<watch::Receiver<outbox::Status>>,
) -> Problems {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut troubled = false;
        loop {
            let mut problems = pipeline.borrow_and_update().clone();
            if let Some(outbox) = &mut outbox {
                let error = outbox.borrow_and_update().last_error.clone();
                match &error {
                    Some(why) if !troubled => tracing::error!("{why}; it is kept in memory and tried again"),
                    None if troubled => tracing::info!("the outbox can be written again"),
                    _ => {}
                }
                troubled = error.is_some();
                problems.extend(error.map(|error| format!("outbox: {error}")));
            }
            tell(&sender, problems);
            let outbox_changed = async {
                let Some(outbox) = &mut outbox else { return std::future::pending().await };
                if outbox.changed().await.is_err() {
                    // An outbox that is gone has nothing more to say.
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

/// Wakes who listens only where something has changed.
pub(crate) fn tell(sender: &watch::Sender<Vec<String>>, problems: Vec<String>) {
    sender.send_if_modified(|told| {
        let changed = *told != problems;
        *told = problems;
        changed
    });
}
