//! The ids of records: the same whenever the same record is sent again.

use crate::{Aggregate, Alert, Reading, Record, Subject};

impl Record {
    /// The record's id. An aggregate keeps it in all its revisions.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Aggregate(aggregate) => aggregate.id(),
            Self::Alert(alert) => alert.id(),
            Self::Reading(reading) => reading.id(),
        }
    }
}

impl Aggregate {
    /// `<gateway>/<device>/<start>/<length>` in milliseconds, or `<gateway>/zones/<zone>/…`.
    #[must_use]
    pub fn id(&self) -> String {
        let (start, length) = (self.window.start.as_millis(), self.window.length().as_millis());
        let gateway = &self.gateway;
        match &self.subject {
            Subject::Zone { name } => format!("{gateway}/zones/{name}/{start}/{length}"),
            Subject::Device { name, .. } => match name.strip_prefix("zones/") {
                // A device must not look like a zone.
                Some(rest) => format!("{gateway}/zones%2F{rest}/{start}/{length}"),
                None => format!("{gateway}/{name}/{start}/{length}"),
            },
        }
    }
}

impl Alert {
    /// `<gateway>/alerts/<rule>/<device>/<metric>/<since>/<state>`, with `-` for no metric.
    #[must_use]
    pub fn id(&self) -> String {
        format!(
            "{}/alerts/{}/{}/{}/{}/{}",
            self.gateway,
            self.rule,
            self.device,
            self.metric.as_deref().unwrap_or("-"),
            self.since.as_millis(),
            self.state.as_str()
        )
    }
}

impl Reading {
    /// `<gateway>/readings/<device>/<time>/<number>`.
    #[must_use]
    pub fn id(&self) -> String {
        let (gateway, device, time) = (&self.gateway, &self.device, self.time.as_millis());
        format!("{gateway}/readings/{device}/{time}/{}", self.number)
    }
}
