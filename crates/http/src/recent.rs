//! The values of the last minutes, in memory: what a chart shows before the first window has closed.
//!
//! One value a second of each series at most. All series together keep [`MOST_POINTS`]; many series keep a shorter time each,
//! and beyond [`MOST_SERIES`] new ones are not kept: nobody can fill the memory with made-up names.

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
const MOST_SERIES: usize = MOST_POINTS / FEWEST_OF_SERIES;

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
            let index = known.iter().position(|(metric, _)| *metric == series.name);
            if index.is_none() {
                if self.series >= MOST_SERIES {
                    continue;
                }
                known.push((Arc::clone(&series.name), Points::new()));
                self.series += 1;
            }
            let index = index.unwrap_or(known.len() - 1);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_core::{DeviceId, MetricId, MetricKind};
    use read_model::{Description, ReadModel, SeriesDescription};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_168_800_000);

    /// A device with so many metrics, each with the value `at` seconds.
    fn device(metrics: u32, at: u64) -> Arc<Device> {
        let model = ReadModel::default();
        let mut writer = model.write();
        writer.add_device(Description { name: "lounge".into(), zone: None, protocol: None });
        for metric in 0..metrics {
            let name = format!("m{metric}").into();
            let describe = || SeriesDescription { name, unit: None, kind: MetricKind::Gauge };
            let when = Timestamp::from_millis(START.as_millis() + i64::try_from(at).unwrap() * 1000);
            writer.value(
                DeviceId(0),
                MetricId(metric),
                Duration::from_secs(at).as_secs_f64(),
                when,
                describe,
            );
        }
        drop(writer);
        model.device("lounge").unwrap()
    }

    #[test]
    fn keeps_the_last_minutes_and_each_value_once() {
        let mut recent = Recent::default();
        for second in 0..2000 {
            let device = device(1, second);
            recent.take(&device);
            recent.take(&device);
        }
        let values = recent.of("lounge", "m0", START, Timestamp::MAX);
        assert_eq!(values.len(), MOST_OF_SERIES);
        assert_eq!(values.last().unwrap().1, 1999.0);
    }

    #[test]
    fn made_up_metrics_do_not_fill_the_memory() {
        let mut recent = Recent { series: MOST_SERIES - 1, ..Recent::default() };
        recent.take(&device(2, 0));
        assert_eq!(recent.series, MOST_SERIES);
        assert_eq!(recent.of("lounge", "m0", START, Timestamp::MAX).len(), 1);
        assert!(recent.of("lounge", "m1", START, Timestamp::MAX).is_empty());
    }
}
