//! Passes a batch to the pipeline; waits while the pipeline's queue is full, so that the sender is slowed down.

use std::time::Duration;

use gateway_core::{AdapterId, Uplink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long after the stop a batch waits for the pipeline.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The result for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubmitResult {
    Done,
    /// The queue stayed full until [`DRAIN_TIMEOUT`] after the stop.
    Stopped,
    /// The pipeline has ended.
    PipelineEnded,
}

/// Passes `batch` on and waits as long as needed, but after `stop` at most [`DRAIN_TIMEOUT`].
pub(crate) async fn submit(
    adapter: &AdapterId,
    uplinks: &mpsc::Sender<Vec<Uplink>>,
    batch: Vec<Uplink>,
    stop: &CancellationToken,
) -> SubmitResult {
    if batch.is_empty() {
        return SubmitResult::Done;
    }
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        permit = uplinks.reserve() => match permit {
            Ok(permit) => {
                permit.send(batch);
                SubmitResult::Done
            }
            Err(_) => SubmitResult::PipelineEnded,
        },
        () = given_up => {
            let lost = batch.len();
            warn!(%adapter, lost, "stopped while the pipeline was behind: these lines are lost");
            SubmitResult::Stopped
        }
    }
}
