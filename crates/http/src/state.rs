//! What every request can reach.

use std::sync::Arc;

use gateway_core::Throttle;
use pipeline::Control;
use pipeline::observe::audit::Auditor;
use pipeline::observe::health_source::HealthSource;
use read_model::ReadModel;
use tokio::sync::{mpsc, watch};

use crate::access::Access;
use crate::answers::Answers;
use crate::drawings::Drawings;
use crate::guard::Hosts;
use crate::history_reader::{HistoryReader, HistorySource};
use crate::live::Live;
use crate::overview::Overviews;
use crate::shares::Shares;
use crate::site::{SharedTools, Site};
use crate::work::Work;

/// What the page shows, and whom it asks.
#[derive(Clone)]
pub struct Sources {
    pub read_model: ReadModel,
    pub auditor: Auditor,
    pub health: HealthSource,
    pub control: mpsc::Sender<Control>,
    /// None without `[history]`.
    pub history: Option<HistorySource>,
    /// The configuration in force.
    pub site: watch::Receiver<Arc<Site>>,
    pub tools: SharedTools,
}

/// Shared by all requests.
pub(crate) struct App {
    pub(crate) access: Access,
    pub(crate) hosts: Hosts,
    pub(crate) sources: Sources,
    pub(crate) history: HistoryReader,
    pub(crate) live: Arc<Live>,
    pub(crate) overviews: Overviews,
    pub(crate) work: Work,
    /// Of refused logins one line in a while is logged: nobody fills the disk with them.
    pub(crate) refused: Throttle,
    pub(crate) answers: Answers,
    pub(crate) drawings: Drawings,
    pub(crate) streams: Shares,
    pub(crate) exports: Shares,
}

impl App {
    /// The configuration in force.
    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.sources.site.borrow())
    }
}
