//! The way of a batch into the pipeline: it waits while the pipeline is behind, and so holds its link back.

use std::time::Duration;

use gateway_core::{AdapterId, Uplink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long after the stop a batch waits for room in the pipeline.
const LAST_ROOM: Duration = Duration::from_secs(2);

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandedOver {
    Yes,
    /// The stop came, and no room soon after it.
    Stopped,
    /// There is no pipeline any more.
    PipelineEnded,
}

/// Hands `batch` over, however long that takes; after `stop` at most [`LAST_ROOM`].
pub(crate) async fn hand_over(
    adapter: &AdapterId,
    uplinks: &mpsc::Sender<Vec<Uplink>>,
    batch: Vec<Uplink>,
    stop: &CancellationToken,
) -> HandedOver {
    if batch.is_empty() {
        return HandedOver::Yes;
    }
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ROOM).await;
    };
    tokio::select! {
        biased;
        room = uplinks.reserve() => match room {
            Ok(room) => {
                room.send(batch);
                HandedOver::Yes
            }
            Err(_) => HandedOver::PipelineEnded,
        },
        () = given_up => {
            let lost = batch.len();
            warn!(%adapter, lost, "stopped while the pipeline was behind: these lines are lost");
            HandedOver::Stopped
        }
    }
}
