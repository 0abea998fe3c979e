//! Trains the models of devices as a whole by itself, in the background: `[anomaly] retrain`.
//!
//! At the start and every hour it looks in the local history for devices that are due, and trains one after the other on
//! a thread of its own, resting after each as long as it took: at most half of one core. A new model is stored, then
//! handed to the pipeline, which takes it in by a step. Whatever goes wrong, the old model stays.

mod attempts;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anomaly::multivariate::file;
use gateway_core::ports::Clock;
use tokio::sync::{Mutex, MutexGuard, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::models::{self, Kinds};
use crate::Control;
use attempts::Attempts;
use work::{Failure, Look};

/// How often it looks whether a device is due; more often where `retrain` is shorter.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// A device that could not be trained is tried again after this; earlier where `retrain` is shorter.
const AGAIN_AFTER: Duration = Duration::from_secs(86_400);

/// What a reload can change.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How old a model may become. None: no model is trained.
    pub retrain: Option<Duration>,
    pub kinds: Kinds,
}

/// What the gateway holds of it.
pub struct Handle {
    plan: watch::Sender<Plan>,
    models: Arc<Mutex<()>>,
}

impl Handle {
    /// While what is returned is held, no model is stored or handed to the pipeline.
    pub async fn hold(&self) -> MutexGuard<'_, ()> {
        self.models.lock().await
    }

    /// Goes on by this plan.
    pub fn follow(&self, plan: Plan) {
        self.plan.send_replace(plan);
    }
}

/// Starts it; it ends with `stop`, between two devices at the latest.
pub fn start(
    data_dir: &Path,
    plan: Plan,
    control: &mpsc::Sender<Control>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Handle {
    let (sender, plan) = watch::channel(plan);
    let models = Arc::new(Mutex::new(()));
    let retrainer = Retrainer {
        history: super::local_history::path(data_dir),
        folder: models::folder(data_dir),
        plan,
        models: Arc::clone(&models),
        control: control.clone(),
        clock,
        attempts: Attempts::default(),
        trouble: None,
    };
    tokio::spawn(async move {
        tokio::select! {
            () = retrainer.run() => {}
            () = stop.cancelled() => {}
        }
    });
    Handle { plan: sender, models }
}

struct Retrainer {
    history: PathBuf,
    folder: PathBuf,
    plan: watch::Receiver<Plan>,
    /// Held while the folder and the pipeline may differ.
    models: Arc<Mutex<()>>,
    control: mpsc::Sender<Control>,
    clock: Arc<dyn Clock>,
    attempts: Attempts,
    /// Why the last look saw nothing.
    trouble: Option<String>,
}

impl Retrainer {
    /// Ends when its handle is gone.
    async fn run(mut self) {
        loop {
            let plan = self.plan.borrow_and_update().clone();
            if let Some(retrain) = plan.retrain {
                self.look(retrain, plan.kinds).await;
            }
            let pause = plan.retrain.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
            tokio::select! {
                changed = self.plan.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Trains every device that is due.
    async fn look(&mut self, retrain: Duration, kinds: Kinds) {
        let look = Arc::new(Look {
            history: self.history.clone(),
            folder: self.folder.clone(),
            kinds,
            retrain,
            now: self.clock.now(),
        });
        let waiting = self.attempts.waiting(look.now, retrain.min(AGAIN_AFTER));
        let scan = Arc::clone(&look);
        let due = match blocking(move || scan.due(&waiting)).await {
            Ok(due) => due,
            Err(failure) => return self.cannot_look(&failure),
        };
        self.trouble = None;
        let mut trained = 0;
        for device in due {
            if self.plan.has_changed().unwrap_or(true) {
                break;
            }
            let begun = Instant::now();
            match self.train(&look, &device).await {
                Ok(()) => {
                    self.attempts.succeeded(&device);
                    trained += 1;
                }
                Err(failure) => self.attempts.failed(&device, &failure, self.clock.now()),
            }
            sleep(begun.elapsed()).await;
        }
        if trained > 0 {
            tracing::info!(devices = trained, "new models of devices as a whole are in force");
        }
    }

    /// Logged once for each reason.
    fn cannot_look(&mut self, failure: &Failure) {
        let reason = Some(gateway_core::chain(failure));
        if let Some(why) = reason.as_ref().filter(|_| reason != self.trouble) {
            tracing::warn!("cannot list the devices to train: {why}; the models stay, trying again");
        }
        self.trouble = reason;
    }

    async fn train(&self, look: &Arc<Look>, device: &str) -> Result<(), Failure> {
        let (job, name) = (Arc::clone(look), device.to_owned());
        let stored = blocking(move || job.fit(&name)).await?;
        let model = Box::new(stored.clone());
        let held = self.models.lock().await;
        let folder = self.folder.clone();
        blocking(move || Ok(file::write(&folder, &stored)?)).await?;
        // A pipeline that is gone reads the folder when it is there again.
        let _ = self.control.send(Control::Learn(model)).await;
        drop(held);
        Ok(())
    }
}

/// On a thread that may wait; a panic there is a failure like others.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(job).await.unwrap_or(Err(Failure::Panic))
}

#[cfg(test)]
mod tests;
