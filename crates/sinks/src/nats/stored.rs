//! Looks which messages of a batch a stream has already.
//!
//! Guarantees: only a message whose own id was found counts: a lost connection may leave gaps among those that are stored.

use std::collections::{BTreeSet, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::server::{Connection, Message, Stored};
use crate::sink::WriteError;

/// Questions at one time.
const AT_ONCE: usize = 32;
/// The search goes back from the newest message by so many at a time, until none of them is of the batch …
const STEP: u64 = 256;
/// … and no more than so often.
const MAX_STEPS: usize = 32;

/// For each message, whether it is stored.
pub(super) async fn find(connection: &Connection, messages: &[Message]) -> Result<Vec<bool>, WriteError> {
    let ids: HashSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    let subjects: BTreeSet<String> = messages.iter().map(|message| message.subject.clone()).collect();
    let newest = stream::iter(subjects).map(|subject| async move { connection.newest(&subject).await });
    let newest: Vec<Option<Stored>> = newest.buffer_unordered(AT_ONCE).try_collect().await?;
    let (mut found, mut end) = (HashSet::new(), 0);
    for stored in newest.into_iter().flatten().filter(|stored| ids.contains(stored.id.as_str())) {
        end = end.max(stored.sequence);
        found.insert(stored.id);
    }
    for _ in 0..MAX_STEPS {
        if end == 0 {
            break;
        }
        let start = end.saturating_sub(STEP - 1).max(1);
        let step = stream::iter(start..=end).map(|number| connection.at(number));
        let step: Vec<Option<Stored>> = step.buffer_unordered(AT_ONCE).try_collect().await?;
        let of_the_batch =
            step.into_iter().flatten().map(|stored| stored.id).filter(|id| ids.contains(id.as_str()));
        let of_the_batch: Vec<String> = of_the_batch.collect();
        if of_the_batch.is_empty() {
            break;
        }
        found.extend(of_the_batch);
        end = start - 1;
    }
    Ok(messages.iter().map(|message| found.contains(&message.id)).collect())
}
