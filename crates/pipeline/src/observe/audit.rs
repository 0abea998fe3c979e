//! What `riser audit` and `health` report: where every reading is, which messages were given up, what it cost the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::BytesWritten;
use crate::Control;
use crate::ModelCount;
use crate::clock::{SystemClock, monotonic};
use read_model::{Balance, ReadModel};

/// How long the outbox may take to answer; its disk may hang.
const OUTBOX_TIMEOUT: Duration = Duration::from_secs(1);

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audit {
    #[serde(flatten)]
    pub balance: Balance,
    /// Ranges of `seq` that the outbox has given up, the newest first.
    pub dropped_ranges: Vec<DroppedRange>,
    /// What became of the records of each sink, by `<kind>.<name>`.
    #[serde(default)]
    pub sinks: BTreeMap<String, SinkRecords>,
    /// Series with an anomaly model, and those refused one.
    pub models: ModelCount,
    /// None of a gateway that does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
}

/// Records of one sink: each version of an aggregate, each alert, each message's reading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SinkRecords {
    pub delivered: u64,
    pub queued: u64,
    pub dropped: u64,
    /// Of those dropped: readings that the database has replaced by a later one with the same time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub same_time: u64,
    /// About what the queued records take on the disk, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// How long the oldest queued record has been waiting, in seconds. None if nothing is queued, and of a gateway that does
    /// not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_s: Option<u64>,
    /// Why the last attempt failed; gone when one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&outbox::Totals> for SinkRecords {
    fn from(totals: &outbox::Totals) -> Self {
        Self {
            delivered: totals.published.entries,
            queued: totals.queued.entries,
            dropped: totals.dropped().entries,
            same_time: totals.dropped_same_time.entries,
            bytes: totals.queued_bytes,
            ..Self::default()
        }
    }
}

/// `seq` numbers that will never arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRange {
    pub from: u64,
    pub to: u64,
    pub readings: u64,
    pub reason: String,
    pub time: String,
}

impl From<&outbox::DroppedRange> for DroppedRange {
    fn from(range: &outbox::DroppedRange) -> Self {
        let reason = match range.reason {
            outbox::DropReason::Full => gateway_core::DropReason::OutboxFull.as_str(),
            outbox::DropReason::Refused => gateway_core::DropReason::UpstreamRefused.as_str(),
            outbox::DropReason::Damaged => gateway_core::DropReason::Damaged.as_str(),
            outbox::DropReason::SameTime => "same_time",
        };
        Self {
            from: range.seq_from,
            to: range.seq_to,
            readings: range.weight,
            reason: reason.to_owned(),
            time: Timestamp::from_millis(range.at_ms).to_string(),
        }
    }
}

/// The newest first.
pub fn newest_first(ranges: &[outbox::DroppedRange]) -> Vec<DroppedRange> {
    ranges.iter().rev().map(DroppedRange::from).collect()
}

/// What the gateway has written to the disk since it was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// When it was started.
    pub since: String,
    /// What the kernel has been given to write, in bytes, whole pages (`/proc/self/io`, proc(5)).
    pub bytes: u64,
    /// Of these, before the kernel made pages of them: appended to the journal.
    pub journal: u64,
    /// Of these: checkpoints of the state.
    pub checkpoints: u64,
    /// Bytes per reading; none before the first.
    pub per_reading: Option<f64>,
    /// Bytes per day, if it goes on like this.
    pub per_day: f64,
}

/// Why a sink cannot write now, by its name.
pub type SinkErrors = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Collects the figures.
#[derive(Clone)]
pub struct Auditor {
    control: mpsc::Sender<Control>,
    outbox: Option<outbox::Handle>,
    ledger_sink: Arc<str>,
    read_model: ReadModel,
    sink_errors: SinkErrors,
    started: Instant,
    since: Timestamp,
}

impl Auditor {
    /// From now on. `ledger_sink`: the sink whose counters the ledger shows.
    pub fn new(
        control: mpsc::Sender<Control>,
        outbox: Option<outbox::Handle>,
        ledger_sink: Arc<str>,
        read_model: ReadModel,
        sink_errors: SinkErrors,
    ) -> Self {
        Self {
            control,
            outbox,
            ledger_sink,
            read_model,
            sink_errors,
            started: monotonic(),
            since: SystemClock.now(),
        }
    }

    /// Since it was made.
    pub fn uptime(&self) -> Duration {
        monotonic().duration_since(self.started)
    }

    /// As of now; none where the pipeline has stopped.
    pub async fn audit(&self) -> Option<Audit> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Balance(reply)).await.ok()?;
        let report = answer.await.ok()?;
        let balance = (*self.read_model.ledger()?.balance).clone();
        let disk = self.disk(report.taken, report.written);
        let dropped_ranges = self.dropped().await;
        let sinks = self.sinks().await;
        Some(Audit { balance, dropped_ranges, sinks, models: report.models, disk: Some(disk) })
    }

    async fn sinks(&self) -> BTreeMap<String, SinkRecords> {
        let Some(outbox) = &self.outbox else { return BTreeMap::new() };
        let sinks = Arc::clone(&outbox.status().borrow().sinks);
        let mut found = BTreeMap::new();
        for sink in sinks.iter() {
            let lag_s = self.lag(outbox, sink).await;
            let last_error = (self.sink_errors)(&sink.name);
            let records = SinkRecords { lag_s, last_error, ..SinkRecords::from(&sink.totals) };
            found.insert(sink.name.to_string(), records);
        }
        found
    }

    /// In whole seconds; `None` if the disk does not answer.
    async fn lag(&self, outbox: &outbox::Handle, sink: &outbox::SinkStatus) -> Option<u64> {
        if sink.totals.queued.entries == 0 {
            return None;
        }
        let since =
            tokio::time::timeout(OUTBOX_TIMEOUT, outbox.waiting_since(&sink.name)).await.ok()?.ok()?;
        let now = SystemClock.now().as_millis();
        Some(since.map_or(0, |since| u64::try_from((now - since) / 1000).unwrap_or(0)))
    }

    async fn dropped(&self) -> Vec<DroppedRange> {
        let Some(outbox) = &self.outbox else { return Vec::new() };
        match tokio::time::timeout(OUTBOX_TIMEOUT, outbox.dropped(&self.ledger_sink)).await {
            Ok(Ok(ranges)) => newest_first(&ranges),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn disk(&self, taken: u64, written: BytesWritten) -> Disk {
        let bytes = bytes_written();
        let days = self.uptime().as_secs_f64().max(1.0) / 86_400.0;
        Disk {
            since: self.since.to_string(),
            bytes,
            journal: written.journal,
            checkpoints: written.checkpoints,
            per_reading: (taken > 0).then(|| (bytes as f64 / taken as f64).round()),
            per_day: (bytes as f64 / days).round(),
        }
    }
}

/// What this process has caused to be written, in bytes; 0 where `/proc/self/io` is not available.
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    field("write_bytes:").unwrap_or(0).saturating_sub(field("cancelled_write_bytes:").unwrap_or(0))
}
