//! Which records of a batch a database is to have in the end.

use std::collections::HashMap;

use record::Record;

use crate::sink::Item;

/// The places of the records to write, in their order: of an aggregate's revisions only the highest. A statement or command
/// with several of one id either fails or runs them in any order.
pub(crate) fn newest(batch: &[Item]) -> Vec<usize> {
    let mut highest: HashMap<String, (u32, usize)> = HashMap::new();
    let mut indexes = Vec::with_capacity(batch.len());
    for (index, item) in batch.iter().enumerate() {
        let Record::Aggregate(aggregate) = &item.record else {
            indexes.push(index);
            continue;
        };
        let known = highest.entry(aggregate.id()).or_insert((aggregate.revision, index));
        if known.0 <= aggregate.revision {
            *known = (aggregate.revision, index);
        }
    }
    indexes.extend(highest.into_values().map(|(_, index)| index));
    indexes.sort_unstable();
    indexes
}
