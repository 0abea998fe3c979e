//! The topics of records (INTERFACE "Upstream topics").

use gateway_core::topic::{level, levels};
use record::{Record, Subject};

/// The topic of a record below `prefix`. Readings have none of their own: no such record comes here.
pub(super) fn topic(prefix: &str, record: &Record) -> String {
    match record {
        Record::Aggregate(aggregate) => match &aggregate.subject {
            Subject::Device { name, .. } => format!("{prefix}/sensors/{}/aggregated", level(name)),
            Subject::Zone { name } => format!("{prefix}/zones/{}/aggregated", levels(name)),
        },
        Record::Alert(alert) => format!("{prefix}/alerts/{}", level(&alert.device)),
        Record::Reading(reading) => format!("{prefix}/sensors/{}/readings", level(&reading.device)),
    }
}
