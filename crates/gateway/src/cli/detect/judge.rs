//! The model and the rule of `riser run`, on one series.

use alerts::{Alerts, Rule, RuleProblem, Subject};
use anomaly::{Quantity, SeriesModel, Trial};
use gateway_core::ports::Detector as _;
use gateway_core::{Alert, AlertState, DeviceId, MetricId, Moment, Now, Reading, Timestamp};

/// The only series there is.
const SUBJECT: Subject<'static> = Subject {
    device: DeviceId(0),
    device_name: "series",
    zone: None,
    metric: MetricId(0),
    metric_name: "value",
};

/// The judgement of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    /// 0..1
    pub(super) score: f64,
    /// Whether the alert is out: from raise to clear.
    pub(super) alert: bool,
}

/// What was learnt from the rows so far.
pub(super) struct Judge {
    model: SeriesModel,
    alerts: Alerts,
    newest: Timestamp,
    raised: bool,
    changes: Vec<Alert>,
}

impl Judge {
    /// # Errors
    /// Where `threshold` is not above 0 and at most 1.
    pub(super) fn new(threshold: f64, trial: Trial) -> Result<Self, RuleProblem> {
        Ok(Self {
            model: SeriesModel::with_trial(Quantity::watched(), trial),
            alerts: Alerts::new(vec![Rule::anomaly(threshold)?]),
            newest: Timestamp::from_millis(i64::MIN),
            raised: false,
            changes: Vec::new(),
        })
    }

    /// Takes the next row. The series' own time is the clock, and a clock does not go back.
    pub(super) fn observe(&mut self, moment: Moment, value: f64) -> Verdict {
        self.newest = self.newest.max(moment.at);
        let now = Now::at(self.newest);
        let score = self.model.observe(moment, value);
        let reading = Reading { device: SUBJECT.device, metric: SUBJECT.metric, value, at: moment.at };
        self.alerts.observe(&SUBJECT, &reading, &score, now, &mut self.changes);
        self.alerts.advance(now, &mut self.changes);
        for change in self.changes.drain(..) {
            self.raised = change.state != AlertState::Cleared;
            tracing::info!("{} {}: {}", change.at, change.state.as_str(), change.message);
        }
        Verdict { score: score.value, alert: self.raised }
    }

    pub(super) const fn is_raised(&self) -> bool {
        self.raised
    }

    /// What the model takes in a checkpoint.
    pub(super) fn state_bytes(&self) -> usize {
        postcard::to_stdvec(&self.model).map_or(0, |bytes| bytes.len())
    }
}
