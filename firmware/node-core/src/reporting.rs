//! Which measurements are worth a report: those that changed by a threshold since the last report, and one for each heartbeat.

use heapless::LinearMap;
use wire::{Reading, Tag};

use crate::board::{MAX_READINGS, Readings};
use crate::config::{Config, default_threshold};
use crate::sampling::Change;
use crate::settings::Settings;

/// So many thresholds at once are not kept waiting for other reports.
const URGENT_THRESHOLDS: u64 = 4;

/// What to do with a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Report {
    No,
    /// It may wait for others.
    Yes,
    /// At once.
    Urgent,
}

/// The last values of each sensor, by the byte of its tag.
type Values = LinearMap<u8, Option<i64>, MAX_READINGS>;

#[derive(Debug, Default)]
pub(crate) struct Reporting {
    measured: Values,
    reported: Values,
    reported_at: Option<u32>,
}

impl Reporting {
    /// Takes the readings of one measurement, so many seconds after the start. What is reported counts as reported.
    pub(crate) fn judge(
        &mut self,
        readings: &Readings,
        uptime: u32,
        config: &Config<'_>,
        settings: &Settings,
    ) -> (Report, Change) {
        let (mut report, mut change) = (Report::No, Change::Calm);
        for reading in readings {
            let threshold = threshold(tag(reading), config, settings);
            let key = tag(reading).to_byte();
            report = report.max(judge(reading, self.reported.get(&key), threshold));
            change = change.max(speed(reading, self.measured.get(&key), threshold));
        }
        let is_heartbeat = self.reported_at.is_none_or(|at| uptime - at >= config.heartbeat);
        // A sensor that gives no reading at all any more.
        let is_fewer = self.reported.len() > readings.len();
        if report == Report::No && (is_heartbeat || is_fewer) && !readings.is_empty() {
            report = Report::Yes;
        }
        self.measured = values(readings);
        if report != Report::No {
            self.reported = values(readings);
            self.reported_at = Some(uptime);
        }
        (report, change)
    }
}

pub(crate) const fn tag(reading: &Reading) -> Tag {
    Tag { quantity: reading.quantity, channel: reading.channel }
}

fn values(readings: &Readings) -> Values {
    readings.iter().map(|reading| (tag(reading).to_byte(), reading.raw)).collect()
}

fn threshold(tag: Tag, config: &Config<'_>, settings: &Settings) -> u32 {
    settings
        .threshold(tag)
        .or_else(|| config.thresholds.iter().find(|threshold| threshold.tag == tag).map(|it| it.raw))
        .unwrap_or(default_threshold(tag.quantity))
}

fn judge(reading: &Reading, reported: Option<&Option<i64>>, threshold: u32) -> Report {
    let (value, reported) = match (reading.raw, reported) {
        (Some(value), Some(Some(reported))) => (value, *reported),
        (None, Some(None)) => return Report::No,
        // The first value, or a sensor that failed or came back.
        _ => return Report::Yes,
    };
    let difference = value.abs_diff(reported);
    if difference == 0 && threshold > 0 {
        Report::No
    } else if reading.quantity.is_state() || difference >= URGENT_THRESHOLDS * u64::from(threshold.max(1)) {
        if difference == 0 { Report::Yes } else { Report::Urgent }
    } else if difference >= u64::from(threshold) {
        Report::Yes
    } else {
        Report::No
    }
}

fn speed(reading: &Reading, measured: Option<&Option<i64>>, threshold: u32) -> Change {
    let (Some(value), Some(Some(measured))) = (reading.raw, measured) else { return Change::Slow };
    let (difference, threshold) = (value.abs_diff(*measured), u64::from(threshold.max(1)));
    if difference >= threshold {
        Change::Fast
    } else if difference * 4 >= threshold {
        Change::Slow
    } else {
        Change::Calm
    }
}
