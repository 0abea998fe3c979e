//! Messages of the embedded broker, handed over within the process.
//!
//! They carry no DUP flag, so each counts once more where a client sends it again; and nothing is replayed at the start:
//! a retained value is no new reading.

use gateway_core::ports::{AdapterError, LocalMessage};
use gateway_core::{Delivery, Outcome, Timestamp, Uplink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::intake::{BATCH, Intake, uplink};

/// Until stopped; then what has come already is handed over, and what comes from now on stays with its senders.
pub(super) async fn run(
    mut intake: Intake<'_>,
    mut messages: mpsc::Receiver<LocalMessage>,
    stop: &CancellationToken,
) -> Result<(), AdapterError> {
    let mut taken = Vec::with_capacity(BATCH);
    while stop.run_until_cancelled(messages.recv_many(&mut taken, BATCH)).await.is_some_and(|count| count > 0)
    {
        hand_over(&mut intake, &mut taken).await?;
    }
    messages.close();
    while messages.recv_many(&mut taken, BATCH).await > 0 {
        hand_over(&mut intake, &mut taken).await?;
    }
    Ok(())
}

async fn hand_over(intake: &mut Intake<'_>, taken: &mut Vec<LocalMessage>) -> Result<(), AdapterError> {
    let now = intake.clock.now();
    let batch: Vec<Uplink> = taken.drain(..).filter_map(|message| read(intake, message, now)).collect();
    intake.hand_over(batch).await
}

/// `None` where nobody wants the message.
fn read(intake: &mut Intake<'_>, message: LocalMessage, now: Timestamp) -> Option<Uplink> {
    let LocalMessage { topic, payload, ack } = message;
    let Some(known) = intake.routes.find(&topic) else {
        ack.tell(Outcome::Taken);
        return None;
    };
    Some(uplink(intake.id, known, now, payload, Delivery::AtMostOnce, ack))
}
