//! Receives messages of the embedded broker within the process.
//!
//! Retained messages are not delivered at the start, because they are not new readings.

use gateway_core::ports::{AdapterError, LocalMessage};
use gateway_core::{Delivery, Outcome, Timestamp, Uplink};
use tokio::sync::mpsc;

use super::intake::{BATCH, Intake, delivery_key, payload_hash, uplink};

/// Runs until stopped. Then it passes on the messages already queued; later ones stay with their senders.
pub(super) async fn run(
    mut intake: Intake<'_>,
    mut messages: mpsc::Receiver<LocalMessage>,
) -> Result<(), AdapterError> {
    let mut received = Vec::with_capacity(BATCH);
    let stop = intake.stop;
    while stop
        .run_until_cancelled(messages.recv_many(&mut received, BATCH))
        .await
        .is_some_and(|count| count > 0)
    {
        submit(&mut intake, &mut received).await?;
    }
    messages.close();
    while messages.recv_many(&mut received, BATCH).await > 0 {
        if !submit(&mut intake, &mut received).await? {
            break;
        }
    }
    Ok(())
}

async fn submit(intake: &mut Intake<'_>, received: &mut Vec<LocalMessage>) -> Result<bool, AdapterError> {
    let now = intake.clock.now();
    let batch: Vec<Uplink> = received.drain(..).filter_map(|message| read(intake, message, now)).collect();
    intake.submit(batch).await
}

/// `None` if no route matches the message.
fn read(intake: &mut Intake<'_>, message: LocalMessage, now: Timestamp) -> Option<Uplink> {
    let LocalMessage { topic, payload, origin, lost_before, memory, ack } = message;
    let Some(known) = intake.routes.find(&topic) else {
        ack.complete(Outcome::Taken);
        return None;
    };
    intake.addresses.learn(&mut known.new_address, &payload);
    let delivery = origin.map_or(Delivery::AtMostOnce, |origin| Delivery::AtLeastOnce {
        key: delivery_key(
            [origin.user.as_deref(), Some(&origin.client)],
            origin.packet_id,
            &topic,
            payload_hash(&payload),
        ),
        again: origin.again,
    });
    let uplink = uplink(intake.id, known, now, payload, delivery, ack, memory);
    Some(Uplink { lost_before, ..uplink })
}
