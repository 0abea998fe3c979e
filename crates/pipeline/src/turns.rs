//! How much one turn takes: a step must fit into the journal, and an alert must not wait long behind others.

use gateway_core::Uplink;
use tokio::sync::mpsc;

/// Most uplinks taken in one turn, and most bytes of payload before the last of them: bounds a step, which the journal
/// must be able to hold, and how long an alert may wait behind others.
pub(crate) const MAX_TURN: usize = 256;
const MAX_TURN_BYTES: usize = 256 * 1024;

/// Takes what else has arrived already, up to a turn's worth.
pub(crate) fn fill(mut batch: Vec<Uplink>, uplinks: &mut mpsc::Receiver<Vec<Uplink>>) -> Vec<Uplink> {
    while turns_worth(&batch) == batch.len() && batch.len() < MAX_TURN {
        match uplinks.try_recv() {
            Ok(more) => batch.extend(more),
            Err(_) => break,
        }
    }
    batch
}

/// How many of `batch` one turn takes; at least one where there is one.
pub(crate) fn turns_worth(batch: &[Uplink]) -> usize {
    let mut bytes = 0;
    let fits = batch.iter().take(MAX_TURN).take_while(|uplink| {
        let room = bytes < MAX_TURN_BYTES;
        bytes += uplink.payload.len();
        room
    });
    fits.count()
}
