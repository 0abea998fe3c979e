//! What happens, item by item: readings, and what came of them. A slow reader misses items and holds nothing up.

use std::sync::Arc;

use tokio::sync::broadcast;

/// How many items a slow reader may lag behind before it misses some.
pub const STREAM_LENGTH: usize = 4096;

/// What sort of item it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Reading,
    Aggregate,
    Alert,
}

impl Kind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Aggregate => "aggregate",
            Self::Alert => "alert",
        }
    }
}

/// One item of a stream.
#[derive(Debug, Clone)]
pub struct Item {
    pub kind: Kind,
    /// The device's name, or the zone's for an aggregate of a zone.
    pub device: Arc<str>,
    /// One JSON object.
    pub json: Arc<str>,
}

/// Two streams: readings are many, so a reader of aggregates and alerts neither pays for them nor lags behind them.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) readings: broadcast::Sender<Item>,
    pub(crate) results: broadcast::Sender<Item>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { readings: broadcast::channel(STREAM_LENGTH).0, results: broadcast::channel(STREAM_LENGTH).0 }
    }
}

impl Streams {
    pub(crate) fn of(&self, kind: Kind) -> &broadcast::Sender<Item> {
        match kind {
            Kind::Reading => &self.readings,
            Kind::Aggregate | Kind::Alert => &self.results,
        }
    }
}
