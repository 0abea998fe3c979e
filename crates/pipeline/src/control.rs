//! What the rest of the gateway asks of the pipeline, and what a reload changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anomaly::multivariate::file::Stored;
use codecs::Codec;
use tokio::sync::oneshot;

use crate::decode::directory::Directory;
use crate::deliver::actions::Action;
use crate::engine::Settings;
use crate::{BytesWritten, ModelCount, acknowledging, firmware};

/// A new configuration cannot be put in force.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the disk does not take what is written, and no more is kept in memory; reload again when it works")]
pub struct JournalFull;

/// What the rest of the gateway asks of the pipeline.
pub enum Control {
    /// New configuration; windows and queue stay. Answered when it is in force.
    Reconfigure(Box<Reconfiguration>, oneshot::Sender<Result<(), JournalFull>>),
    /// A model of a device as a whole, beside those of the others.
    Learn(Box<Stored>),
    /// The ledger, as of now.
    Balance(oneshot::Sender<Report>),
    /// Which image each node runs.
    Firmware(oneshot::Sender<Vec<firmware::Row>>),
    /// The active alerts.
    Raised(oneshot::Sender<Vec<acknowledging::Row>>),
    /// A user acknowledges anomalies. Answered when the journal has it.
    Acknowledge(acknowledging::Request, oneshot::Sender<acknowledging::Answer>),
    /// Whether it still runs, and no disk has kept it waiting for `limit`: only then it is answered.
    Ping { limit: Duration, reply: oneshot::Sender<()> },
}

/// What came in, and what it cost the disk. The ledger of the same moment is in the read model.
pub struct Report {
    /// Readings taken since the start.
    pub taken: u64,
    pub written: BytesWritten,
    pub models: ModelCount,
}

/// What a reload changes.
pub struct Reconfiguration {
    pub settings: Settings,
    pub codecs: Vec<Arc<Codec>>,
    pub directory: Directory,
    pub actions: BTreeMap<String, Vec<Action>>,
    pub models: Vec<Stored>,
}
