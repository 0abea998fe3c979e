//! The values of the last minutes, in memory: what a chart shows before the first window has closed.
//!
//! One value a second of each series at most. All series together keep [`MOST_POINTS`]; many series keep a shorter time each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Timestamp;
use read_model::Device;

/// How far back it goes.
pub(crate) const SPAN: Duration = Duration::from_secs(15 * 60);

/// Points of all series, of 16 bytes each: 4 MiB.
const MOST_POINTS: usize = 262_144;
/// Points of one series.
const MOST_OF_SERIES: usize = 900;
const FEWEST_OF_SERIES: usize = 8;

type Points = VecDeque<(Timestamp, f64)>;

/// Recent values by device and metric.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    devices: HashMap<Arc<str>, Vec<(Arc<str>, Points)>>,
    series: usize,
}

impl Recent {
    /// Takes the newest values of a device.
    pub(crate) fn take(&mut self, device: &Device) {
        let most = (MOST_POINTS / self.series.max(1)).clamp(FEWEST_OF_SERIES, MOST_OF_SERIES);
        let known = self.devices.entry(Arc::clone(&device.name)).or_default();
        for series in device.series() {
            let index = known.iter().position(|(metric, _)| *metric == series.name).unwrap_or_else(|| {
                known.push((Arc::clone(&series.name), Points::new()));
                self.series += 1;
                known.len() - 1
            });
            let Some((_, points)) = known.get_mut(index) else { continue };
            if points.back().is_some_and(|(at, _)| *at >= series.at) {
                continue;
            }
            while points.len() >= most || points.front().is_some_and(|(at, _)| series.at.since(*at) > SPAN) {
                points.pop_front();
            }
            points.push_back((series.at, series.value));
        }
    }

    /// The values of a series between two times, the oldest first.
    pub(crate) fn of(
        &self,
        device: &str,
        metric: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(Timestamp, f64)> {
        let series = self.devices.get(device).into_iter().flatten();
        let points = series.filter(|(name, _)| &**name == metric).flat_map(|(_, points)| points);
        points.filter(|(at, _)| *at >= from && *at < to).copied().collect()
    }
}
