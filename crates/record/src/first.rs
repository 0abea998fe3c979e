//! The first stored form of records, whose alerts have neither a limit nor a notice.

use gateway_core::{AlertKind, AlertState, AnomalyKind, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Aggregate, Alert, Reading, Record};

#[derive(Serialize, Deserialize)]
enum FirstRecord {
    Aggregate(Aggregate),
    Alert(FirstAlert),
    Reading(Reading),
}

#[derive(Serialize, Deserialize)]
struct FirstAlert {
    gateway: String,
    device: String,
    zone: Option<String>,
    protocol: Option<String>,
    metric: Option<String>,
    rule: String,
    kind: AlertKind,
    state: AlertState,
    severity: Severity,
    value: Option<f64>,
    score: Option<f64>,
    anomaly_kind: Option<AnomalyKind>,
    expected: Option<(f64, f64)>,
    since: Timestamp,
    at: Timestamp,
    message: String,
}

/// `body`: without the version.
pub(crate) fn decode(body: &[u8]) -> Result<Record, postcard::Error> {
    Ok(match postcard::from_bytes(body)? {
        FirstRecord::Aggregate(aggregate) => Record::Aggregate(aggregate),
        FirstRecord::Reading(reading) => Record::Reading(reading),
        FirstRecord::Alert(first) => Record::Alert(Alert {
            gateway: first.gateway,
            device: first.device,
            zone: first.zone,
            protocol: first.protocol,
            metric: first.metric,
            rule: first.rule,
            kind: first.kind,
            state: first.state,
            severity: first.severity,
            value: first.value,
            score: first.score,
            anomaly_kind: first.anomaly_kind,
            expected: first.expected,
            since: first.since,
            at: first.at,
            message: first.message,
            limit: None,
            notice: None,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_the_first_form_is_read() {
        let first = FirstRecord::Alert(FirstAlert {
            gateway: "hq".into(),
            device: "lounge".into(),
            zone: None,
            protocol: Some("mqtt".into()),
            metric: None,
            rule: "gone".into(),
            kind: AlertKind::Silent,
            state: AlertState::Raised,
            severity: Severity::Warning,
            value: None,
            score: None,
            anomaly_kind: None,
            expected: None,
            since: Timestamp::EPOCH,
            at: Timestamp::EPOCH,
            message: "lounge has been silent for 15m".into(),
        });
        let bytes = postcard::to_extend(&first, vec![1_u8]).unwrap();
        let Ok(Record::Alert(alert)) = Record::decode(&bytes) else { panic!("no alert") };
        assert_eq!((&*alert.rule, alert.limit, alert.notice), ("gone", None, None));
        assert_eq!(Record::decode(&Record::Alert(alert.clone()).encode()).unwrap(), Record::Alert(alert));
    }
}
