//! `[anomaly]`: how often a machine can be asked to train.

use std::time::Duration;

use crate::model::Anomaly;
use gateway_core::findings::{KeyPath, Report};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

pub(super) fn check(report: &mut Report, anomaly: &Anomaly) {
    let retrain = anomaly.retrain.0;
    if !retrain.is_zero() && !(SHORTEST..=LONGEST).contains(&retrain) {
        let key = KeyPath::of("anomaly").key("retrain");
        report.error(&key, "is out of range; allowed: \"0s\" (never), or from \"1s\" to \"3650d\"");
    }
}
