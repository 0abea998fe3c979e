//! `[aggregate]`: windows that the aggregator can hold.

use std::time::Duration;

use gateway_core::findings::{KeyPath, Report};
use gateway_core::settings::HumanDuration;

use crate::model::{Aggregate, MAX_PERCENTILES};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Each reading goes into as many windows as overlap.
const MOST_OVERLAPPING: u128 = 60;

pub(super) fn check(report: &mut Report, aggregate: &Aggregate) {
    let table = KeyPath::of("aggregate");
    let window = aggregate.window.0;
    if !(SHORTEST..=LONGEST).contains(&window) {
        let allowed = "is out of range; allowed: from \"100ms\" to \"7d\"";
        report.error(&table.key("window"), allowed);
    }
    let (most, percentiles) = (MAX_PERCENTILES, aggregate.percentiles.len());
    if percentiles > most {
        report.error(&table.key("percentiles"), format!("has {percentiles}; at most {most} are allowed"));
    }
    if let Some(every) = aggregate.every {
        check_every(report, &table.key("every"), every, aggregate.window);
    }
    for (key, value) in [
        ("lateness", aggregate.lateness),
        ("correct_for", aggregate.correct_for),
        ("max_future", aggregate.max_future),
    ] {
        if value.0 > LONGEST {
            report.error(&table.key(key), "is out of range; allowed: up to \"7d\"");
        }
    }
}

fn check_every(report: &mut Report, key: &KeyPath, every: HumanDuration, window: HumanDuration) {
    let overlap = window.0.as_millis().div_ceil(every.0.as_millis().max(1));
    if every.0 < SHORTEST {
        report.error(key, "is too short; write at least \"100ms\"");
    } else if every > window {
        report.error(
            key,
            format!("is longer than window = \"{window}\": readings between windows would be lost"),
        );
    } else if overlap > MOST_OVERLAPPING {
        report.error(
            key,
            format!("makes {overlap} windows overlap; at most {MOST_OVERLAPPING}: write a longer one"),
        );
    }
}
