//! How often a device or series usually sends, learnt for `silent_for = "auto"`.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{DeviceId, MetricId, Timestamp};
use serde::{Deserialize, Serialize};

/// So many of the newest intervals are kept.
const KEPT: usize = 15;
/// With fewer nothing is said.
const ENOUGH: usize = 8;
/// Devices that send every second are not silent after three.
const SHORTEST: Duration = Duration::from_secs(20);

/// By device, and metric where a rule names one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intervals(BTreeMap<(DeviceId, Option<MetricId>), Newest>);

/// In milliseconds, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Newest(Vec<u32>);

impl Intervals {
    /// A reading at `now`, by the gateway's clock, after one at `before`. Several of one message count once.
    pub(crate) fn observe(
        &mut self,
        of: (DeviceId, Option<MetricId>),
        before: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(millis) = before.map(|before| now.millis_after(before)).filter(|millis| *millis > 0) else {
            return;
        };
        let newest = &mut self.0.entry(of).or_default().0;
        if newest.len() >= KEPT {
            newest.remove(0);
        }
        newest.push(u32::try_from(millis).unwrap_or(u32::MAX));
    }

    /// The median: one long pause does not change it.
    pub(crate) fn usual(&self, of: (DeviceId, Option<MetricId>)) -> Option<Duration> {
        let newest = &self.0.get(&of)?.0;
        if newest.len() < ENOUGH {
            return None;
        }
        let mut sorted = newest.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2)?;
        Some(Duration::from_millis(u64::from(*median)).max(SHORTEST))
    }
}
