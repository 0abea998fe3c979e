//! The ids of records: the same whenever the same record is sent again.

use std::borrow::Cow;

use gateway_core::Notice;

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

impl Record {
    /// The device as the record's id has it: its name, or for the aggregate of a zone `zones/<zone>`. In aggregates a device
    /// whose name begins so has it encoded.
    #[must_use]
    pub fn device(&self) -> Cow<'_, str> {
        match self {
            Self::Aggregate(aggregate) => aggregate.subject.path(),
            Self::Alert(alert) => Cow::Borrowed(&alert.device),
            Self::Reading(reading) => Cow::Borrowed(&reading.device),
        }
    }
}

impl Subject {
    /// The device's name, or `zones/<zone>`: no two subjects have the same.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        match self {
            Subject::Zone { name } => Cow::Owned(format!("zones/{name}")),
            Subject::Device { name, .. } => match name.strip_prefix("zones/") {
                // A device must not look like a zone.
                Some(rest) => Cow::Owned(format!("zones%2F{rest}")),
                None => Cow::Borrowed(name),
            },
        }
    }
}

impl Aggregate {
    /// `<gateway>/<device>/<start>/<length>` in milliseconds, or `<gateway>/zones/<zone>/…`.
    #[must_use]
    pub fn id(&self) -> String {
        let (start, length) = (self.window.start.as_millis(), self.window.length().as_millis());
        format!("{}/{}/{start}/{length}", self.gateway, self.subject.path())
    }
}

impl Alert {
    /// `<gateway>/alerts/<rule>/<device>/<metric>/<since>/<state>`, with `-` for no metric. A reminder ends in
    /// `raised/reminder/<number>`, an escalation in `raised/escalated`.
    #[must_use]
    pub fn id(&self) -> String {
        let notice = match self.notice {
            None => String::new(),
            Some(Notice::Reminder(number)) => format!("/reminder/{number}"),
            Some(Notice::Escalated) => "/escalated".to_owned(),
        };
        format!(
            "{}/alerts/{}/{}/{}/{}/{}{notice}",
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
