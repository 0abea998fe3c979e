//! What alerts have done: the newest [`MOST`] actions and their outcomes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use gateway_core::{DeviceId, Timestamp};

use crate::lock;

const MOST: usize = 256;

/// One action, done or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOutcome {
    /// The alert that it belongs to: its rule, its device, and when it was raised.
    pub rule: Arc<str>,
    pub device: DeviceId,
    pub since: Timestamp,
    /// When the outcome was known.
    pub at: Timestamp,
    /// The adapter's name.
    pub adapter: String,
    /// Where it went to, as the adapter writes it.
    pub target: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// The newest actions.
#[derive(Debug, Default)]
pub struct ActionLog(Mutex<VecDeque<Arc<ActionOutcome>>>);

impl ActionLog {
    /// Takes an outcome in.
    pub fn add(&self, outcome: ActionOutcome) {
        let mut newest = lock(&self.0);
        newest.truncate(MOST - 1);
        newest.push_front(Arc::new(outcome));
    }

    /// All that are known, the newest first.
    #[must_use]
    pub fn newest(&self) -> Vec<Arc<ActionOutcome>> {
        lock(&self.0).iter().map(Arc::clone).collect()
    }
}
