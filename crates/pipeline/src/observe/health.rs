//! `health`: how the gateway is doing, every `gateway.health_every`.

use std::collections::BTreeMap;

use gateway_core::ports::AdapterState;
use gateway_core::{AdapterHealth, PartHealth, memory};
use serde::Serialize;

use super::audit::{Disk, DroppedRange, SinkRecords};
use crate::ModelCount;
use read_model::Balance;

/// The payload of `{prefix}/gateways/{id}/health`.
#[derive(Debug, Serialize)]
pub struct Health {
    pub gateway: String,
    pub time: String,
    pub version: &'static str,
    /// Since the process started, in seconds.
    pub uptime: u64,
    pub time_quality: &'static str,
    /// What is wrong at the moment, as texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    pub adapters: BTreeMap<String, Adapter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamHealth>,
    pub queue: Queue,
    /// Every sink, by `<kind>.<name>`; that of `[upstream]` is one of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sinks: BTreeMap<String, SinkRecords>,
    pub ledger: Balance,
    pub models: ModelCount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    pub memory: Memory,
}

/// One adapter, or the embedded broker.
#[derive(Debug, Serialize)]
pub struct Adapter {
    /// `starting`, `up` or `down`.
    pub state: &'static str,
    /// Since when it is up, or is not.
    pub since: String,
    /// How often it was started again after a failure.
    pub restarts: u32,
    /// What went wrong last; stays when it is up again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<String>,
    /// What it counts itself, such as sessions and what was refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
    /// Alerts' actions that it carried out, and that came to nothing.
    #[serde(skip_serializing_if = "Actions::is_none")]
    pub actions: Actions,
    /// Parts of it that can fail alone, such as resources that it observes, by their addresses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<String, Observed>,
}

/// What became of the actions of alerts since the start.
#[derive(Debug, Serialize)]
pub struct Actions {
    pub done: u64,
    pub failed: u64,
}

impl Actions {
    const fn is_none(&self) -> bool {
        self.done == 0 && self.failed == 0
    }
}

/// One part of an adapter.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// `starting`, `observing`, `polling` or `down`.
    pub state: &'static str,
    /// Since when it is so.
    pub since: String,
    /// What went wrong last; stays when it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<String>,
}

impl From<PartHealth> for Observed {
    fn from(PartHealth { state, since, last_error }: PartHealth) -> Self {
        let (last_error_at, last_error) = last_error.map(|(at, error)| (at.to_string(), error)).unzip();
        Self { state, since: since.to_string(), last_error, last_error_at }
    }
}

impl From<AdapterHealth> for Adapter {
    fn from(health: AdapterHealth) -> Self {
        let AdapterHealth {
            state,
            since,
            last_error,
            restarts,
            figures,
            parts,
            commands_done,
            commands_failed,
        } = health;
        let state = match state {
            AdapterState::Starting => "starting",
            AdapterState::Up => "up",
            AdapterState::Down { .. } => "down",
        };
        let (last_error_at, last_error) = last_error.map(|(at, error)| (at.to_string(), error)).unzip();
        let observed = parts.into_iter().map(|(name, part)| (name.to_string(), part.into())).collect();
        let actions = Actions { done: commands_done, failed: commands_failed };
        Self {
            state,
            since: since.to_string(),
            restarts,
            last_error,
            last_error_at,
            figures,
            actions,
            observed,
        }
    }
}

/// The connection to the cloud.
#[derive(Debug, Serialize)]
pub struct UpstreamHealth {
    pub connected: bool,
    /// Messages that the cloud has acknowledged since the start.
    pub published: u64,
    /// Why the connection was lost, the last time it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What waits for the cloud.
#[derive(Debug, Default, Serialize)]
pub struct Queue {
    pub messages: u64,
    pub bytes: u64,
    /// Messages dropped because the queue was full.
    pub dropped: u64,
    /// The newest ranges of `seq` that were dropped.
    pub dropped_ranges: Vec<DroppedRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Memory in bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// What the process takes.
    pub resident: u64,
    /// What each queue of messages may hold.
    pub budget: BTreeMap<&'static str, u32>,
}

impl Memory {
    /// From `/proc/self/status`; 0 where that is not available.
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        let budget = memory::BUDGET.iter().map(|part| (part.name, part.bytes)).collect();
        Self { resident: kib.unwrap_or(0_u64) * 1024, budget }
    }
}
