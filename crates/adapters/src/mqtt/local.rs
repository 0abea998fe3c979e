//! Messages of the embedded broker, handed over within the process.
//!
//! Nothing is replayed at the start: a retained value is no new reading.

use gateway_core::ports::{AdapterError, LocalMessage};
use gateway_core::{Delivery, Outcome, Timestamp, Uplink};
use tokio::sync::mpsc;

use super::intake::{BATCH, Intake, delivery_key, payload_hash, uplink};

/// Until stopped; then what has come already is handed over, and what comes from now on stays with its senders.
pub(super) async fn run(
    mut intake: Intake<'_>,
    mut messages: mpsc::Receiver<LocalMessage>,
) -> Result<(), AdapterError> {
    let mut taken = Vec::with_capacity(BATCH);
    let stop = intake.stop;
    while stop.run_until_cancelled(messages.recv_many(&mut taken, BATCH)).await.is_some_and(|count| count > 0)
    {
        hand_over(&mut intake, &mut taken).await?;
    }
    messages.close();
    while messages.recv_many(&mut taken, BATCH).await > 0 {
        if !hand_over(&mut intake, &mut taken).await? {
            break;
        }
    }
    Ok(())
}

async fn hand_over(intake: &mut Intake<'_>, taken: &mut Vec<LocalMessage>) -> Result<bool, AdapterError> {
    let now = intake.clock.now();
    let batch: Vec<Uplink> = taken.drain(..).filter_map(|message| read(intake, message, now)).collect();
    intake.hand_over(batch).await
}

/// `None` where nobody wants the message.
fn read(intake: &mut Intake<'_>, message: LocalMessage, now: Timestamp) -> Option<Uplink> {
    let LocalMessage { topic, payload, origin, lost_before, permit, ack } = message;
    let Some(known) = intake.routes.find(&topic) else {
        ack.tell(Outcome::Taken);
        return None;
    };
    intake.addresses.hear(&mut known.untold, &payload);
    let delivery = origin.map_or(Delivery::AtMostOnce, |origin| Delivery::AtLeastOnce {
        key: delivery_key(Some(&origin.client), origin.packet_id, &topic, payload_hash(&payload)),
        again: origin.again,
    });
    let uplink = uplink(intake.id, known, now, payload, delivery, ack, permit);
    Some(Uplink { lost_before, ..uplink })
}
