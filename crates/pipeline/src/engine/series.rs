//! What is known of each metric of a device: its anomaly model, and how many of these there may be.
//!
//! A model stays as long as the state does: nothing forgets a device or a metric that was seen once.

use anomaly::{Quantity, SeriesModel};
use gateway_core::ports::Detector;
use gateway_core::{MetricId, Moment, Score};
use serde::{Deserialize, Serialize};

/// Most metrics one device may have; a payload with made-up keys must not fill the memory.
pub(crate) const MAX_METRICS_PER_DEVICE: usize = 256;

/// The series of one device, found by a short linear search: devices have few metrics.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct DeviceSeries(Vec<Series>);

#[derive(Serialize, Deserialize)]
pub(crate) struct Series {
    metric: MetricId,
    learnt: Learnt,
}

#[derive(Serialize, Deserialize)]
enum Learnt {
    /// Not judged yet.
    Nothing,
    Model(Box<SeriesModel>),
    /// Not judged: there were as many models as there may be.
    NoRoom,
}

/// How many series have a model, and how many should and have none. Counted from the series themselves, so that it is
/// part of the state without being written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelCount {
    pub kept: u32,
    /// For want of memory; they get a model with their next reading once there is some.
    pub refused: u32,
}

impl ModelCount {
    pub(crate) fn of(devices: &[DeviceSeries]) -> Self {
        let mut count = Self::default();
        for series in devices.iter().flat_map(|device| &device.0) {
            match series.learnt {
                Learnt::Nothing => {}
                Learnt::Model(_) => count.kept += 1,
                Learnt::NoRoom => count.refused += 1,
            }
        }
        count
    }
}

impl DeviceSeries {
    pub(crate) fn metric_count(&self) -> usize {
        self.0.len()
    }

    /// The series of a metric, made where it is new; none where the device has too many.
    pub(crate) fn series(&mut self, metric: MetricId) -> Option<&mut Series> {
        let index = match self.0.iter().position(|series| series.metric == metric) {
            Some(index) => index,
            None if self.0.len() < MAX_METRICS_PER_DEVICE => {
                self.0.push(Series { metric, learnt: Learnt::Nothing });
                self.0.len() - 1
            }
            None => return None,
        };
        self.0.get_mut(index)
    }
}

impl Series {
    /// Scores a reading. The first makes the model, where fewer than `max` are there.
    pub(crate) fn judge(
        &mut self,
        moment: Moment,
        value: f64,
        quantity: impl FnOnce() -> Quantity,
        max: u32,
        count: &mut ModelCount,
    ) -> Score {
        if !matches!(self.learnt, Learnt::Model(_)) {
            self.make_model(quantity, max, count);
        }
        match &mut self.learnt {
            Learnt::Model(model) => model.observe(moment, value),
            Learnt::Nothing | Learnt::NoRoom => Score::NONE,
        }
    }

    fn make_model(&mut self, quantity: impl FnOnce() -> Quantity, max: u32, count: &mut ModelCount) {
        let was_refused = matches!(self.learnt, Learnt::NoRoom);
        if count.kept < max {
            count.kept += 1;
            count.refused -= u32::from(was_refused);
            self.learnt = Learnt::Model(Box::new(SeriesModel::new(quantity())));
        } else if !was_refused {
            count.refused += 1;
            self.learnt = Learnt::NoRoom;
        }
    }
}
