//! How much one batch takes: a step must fit into the journal, and an alert must not wait long behind others.

use gateway_core::Uplink;
use tokio::sync::mpsc;

/// Most uplinks taken in one batch, and most bytes of payload before the last of them: bounds a step, which the journal
/// must be able to hold, and how long an alert may wait behind others.
pub(crate) const MAX_BATCH: usize = 256;
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Takes what else has arrived already, up to one batch.
pub(crate) fn fill(mut batch: Vec<Uplink>, uplinks: &mut mpsc::Receiver<Vec<Uplink>>) -> Vec<Uplink> {
    while batch_length(&batch) == batch.len() && batch.len() < MAX_BATCH {
        match uplinks.try_recv() {
            Ok(more) => batch.extend(more),
            Err(_) => break,
        }
    }
    batch
}

/// How many of `batch` one batch takes; at least one where there is one.
pub(crate) fn batch_length(batch: &[Uplink]) -> usize {
    let mut bytes = 0;
    let fits = batch.iter().take(MAX_BATCH).take_while(|uplink| {
        let fits = bytes < MAX_BATCH_BYTES;
        bytes += uplink.payload.len();
        fits
    });
    fits.count()
}
