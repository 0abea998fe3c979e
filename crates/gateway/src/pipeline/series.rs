//! What is known of each metric of a device: its anomaly model.

use anomaly::SeriesModel;
use gateway_core::ports::Detector;
use gateway_core::{MetricId, MetricKind, Moment, Score};
use serde::{Deserialize, Serialize};

/// Most metrics one device may have; a payload with made-up keys must not fill the memory.
pub(crate) const MAX_METRICS_PER_DEVICE: usize = 256;

/// The series of one device, found by a short linear search: devices have few metrics.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct DeviceSeries(Vec<Series>);

#[derive(Serialize, Deserialize)]
pub(super) struct Series {
    metric: MetricId,
    model: Option<Box<SeriesModel>>,
}

impl DeviceSeries {
    /// Those of a device that has these metrics, with nothing learnt.
    pub(super) fn of_metrics(metrics: impl Iterator<Item = MetricId>) -> Self {
        Self(metrics.map(|metric| Series { metric, model: None }).collect())
    }

    pub(super) fn metric_count(&self) -> usize {
        self.0.len()
    }

    /// The series of a metric, made where it is new; none where the device has too many.
    pub(super) fn series(&mut self, metric: MetricId) -> Option<&mut Series> {
        let index = match self.0.iter().position(|series| series.metric == metric) {
            Some(index) => index,
            None if self.0.len() < MAX_METRICS_PER_DEVICE => {
                self.0.push(Series { metric, model: None });
                self.0.len() - 1
            }
            None => return None,
        };
        self.0.get_mut(index)
    }
}

impl Series {
    /// Scores a reading; `judged` is the metric's kind where the model is on.
    pub(super) fn judge(&mut self, moment: Moment, value: f64, judged: Option<MetricKind>) -> Score {
        match judged {
            Some(kind) => {
                self.model.get_or_insert_with(|| Box::new(SeriesModel::new(kind))).observe(moment, value)
            }
            None => Score::NONE,
        }
    }
}
