//! `[history]`: what a small machine's disk can hold, and be searched in.

use std::time::Duration;

use crate::model::History;
use gateway_core::findings::{KeyPath, Report};

const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);
/// What waits for the disk is up to half of it.
const SMALLEST: u64 = 16 << 20;

pub(super) fn check(report: &mut Report, history: Option<&History>) {
    let Some(history) = history else { return };
    let table = KeyPath::of("history");
    let History { keep, keep_hours, keep_days, readings, .. } = history;
    let times =
        [("keep", keep), ("keep_hours", keep_hours), ("keep_days", keep_days), ("readings", readings)];
    for (key, _) in times.iter().filter(|(_, time)| time.0 > LONGEST) {
        report.error(&table.key(key), "is out of range; allowed: up to \"3650d\"");
    }
    if history.max_size.0 < SMALLEST {
        report.error(&table.key("max_size"), "is too small; write at least \"16MiB\"");
    }
}
