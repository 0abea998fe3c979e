//! The active alerts, and acknowledging them: `riser acknowledge`.
//!
//! Taking note changes the state, so it is a step, and is answered when the journal has it.

use std::time::Duration;

use alerts::ActiveAlert;
use gateway_core::{Ack, AlertKind, Now, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Pipeline;
use crate::engine::Engine;
use crate::engine::step::{Acknowledgement, Step};

/// The same by names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub device: String,
    pub metric: Option<String>,
    pub hold: Duration,
}

/// One alert that is out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub alert: String,
    pub kind: String,
    pub severity: String,
    pub device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    pub since: String,
    /// Whether somebody took note of it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// No device of this name was ever seen.
    UnknownDevice,
    /// No metric of this name was ever seen.
    UnknownMetric,
    /// Anomalies are cleared; `others` stay, and end their reminders.
    Done { acknowledged: Vec<Row>, others: Vec<Row> },
}

/// All that is out.
pub fn raised(engine: &Engine) -> Vec<Row> {
    engine.alerts.active_alerts().map(|raised| row(engine, &raised)).collect()
}

fn row(engine: &Engine, raised: &ActiveAlert<'_>) -> Row {
    Row {
        alert: raised.rule.to_string(),
        kind: raised.kind.as_str().to_owned(),
        severity: raised.severity.as_str().to_owned(),
        device: engine.registry.device_name(raised.device).to_owned(),
        metric: raised.metric.map(|metric| engine.registry.metric_name(metric).to_owned()),
        detector: raised.anomaly_kind.map(|anomaly_kind| anomaly_kind.as_str().to_owned()),
        since: raised.since.to_string(),
        acknowledged: raised.is_acknowledged,
    }
}

impl Pipeline {
    /// The request stays without an answer where no step can be taken.
    pub fn acknowledge(&mut self, request: &Request, reply: oneshot::Sender<Answer>) {
        let registry = self.engine.registry();
        let Some(device) = registry.device_id(&request.device) else {
            let _ = reply.send(Answer::UnknownDevice);
            return;
        };
        let metric = request.metric.as_deref().map(|name| registry.metric_id(name));
        if metric == Some(None) {
            let _ = reply.send(Answer::UnknownMetric);
            return;
        }
        let acknowledgement = Acknowledgement { device, metric: metric.flatten(), hold: request.hold };
        let (acknowledged, others) = self.meant(&acknowledgement);
        let is_any = !acknowledged.is_empty() || others.iter().any(|row| !row.acknowledged);
        let answer = Answer::Done { acknowledged, others };
        if !is_any {
            let _ = reply.send(answer);
            return;
        }
        let now = Now::at(self.clock.now());
        let mut step = Step::tick(now, None, self.engine.registry().next_numbers());
        step.acknowledged.push(acknowledgement);
        let ack = Ack::new(move |_| {
            let _ = reply.send(answer);
        });
        self.take(&step, vec![(ack, Outcome::Taken)]);
    }

    /// What is raised there: anomalies, and the rest.
    fn meant(&self, of: &Acknowledgement) -> (Vec<Row>, Vec<Row>) {
        let (anomalies, others): (Vec<_>, Vec<_>) = self
            .engine
            .alerts
            .active_alerts()
            .filter(|raised| raised.device == of.device)
            .filter(|raised| of.metric.is_none() || raised.metric == of.metric)
            .partition(|raised| raised.kind == AlertKind::Anomaly);
        let rows = |raised: &[ActiveAlert<'_>]| raised.iter().map(|one| row(&self.engine, one)).collect();
        (rows(&anomalies), rows(&others))
    }
}
