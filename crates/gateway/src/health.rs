//! `health`: how the gateway is doing, every `gateway.health_every`.

use std::collections::BTreeMap;

use gateway_core::ports::AdapterState;
use gateway_core::{AdapterHealth, PartHealth, memory};
use serde::Serialize;

use crate::audit::{Disk, DroppedRange};
use pipeline::ModelCount;
use read_model::Balance;

/// The payload of `{prefix}/gateways/{id}/health`.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    pub(crate) gateway: String,
    pub(crate) time: String,
    pub(crate) version: &'static str,
    /// Since the process started, in seconds.
    pub(crate) uptime: u64,
    pub(crate) time_quality: &'static str,
    /// What is wrong at the moment, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
    pub(crate) adapters: BTreeMap<String, Adapter>,
    pub(crate) upstream: UpstreamHealth,
    pub(crate) queue: Queue,
    pub(crate) ledger: Balance,
    pub(crate) models: ModelCount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<Disk>,
    pub(crate) memory: Memory,
}

/// One adapter, or the embedded broker.
#[derive(Debug, Serialize)]
pub(crate) struct Adapter {
    /// `starting`, `up` or `down`.
    pub(crate) state: &'static str,
    /// Since when it is up, or is not.
    pub(crate) since: String,
    /// How often it was started again after a failure.
    pub(crate) restarts: u32,
    /// What went wrong last; stays when it is up again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error_at: Option<String>,
    /// What it counts itself: for CoAP, peers, sessions, observers and what was refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) figures: BTreeMap<String, u64>,
    /// Alerts' actions that it carried out, and that came to nothing.
    #[serde(skip_serializing_if = "Actions::is_none")]
    pub(crate) actions: Actions,
    /// CoAP resources that it observes, by their addresses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) observed: BTreeMap<String, Observed>,
}

/// What became of the actions of alerts since the start.
#[derive(Debug, Serialize)]
pub(crate) struct Actions {
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

impl Actions {
    const fn is_none(&self) -> bool {
        self.done == 0 && self.failed == 0
    }
}

/// One resource that a CoAP adapter observes.
#[derive(Debug, Serialize)]
pub(crate) struct Observed {
    /// `starting`, `observing`, `polling` or `down`.
    pub(crate) state: &'static str,
    /// Since when it is so.
    pub(crate) since: String,
    /// What went wrong last; stays when it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error_at: Option<String>,
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

/// The connection that this message came over.
#[derive(Debug, Serialize)]
pub(crate) struct UpstreamHealth {
    /// Messages that the cloud has acknowledged since the start.
    pub(crate) published: u64,
    /// Why the connection was lost, the last time it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

/// What waits for the cloud.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Queue {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Messages dropped because the queue was full.
    pub(crate) dropped: u64,
    /// The newest ranges of `seq` that were dropped.
    pub(crate) dropped_ranges: Vec<DroppedRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Memory in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    /// What the process takes.
    pub(crate) resident: u64,
    /// What each queue of messages may hold.
    pub(crate) budget: BTreeMap<&'static str, u32>,
}

impl Memory {
    /// As the kernel tells it (`/proc/self/status`); 0 where it does not.
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        let budget = memory::BUDGET.iter().map(|part| (part.name, part.bytes)).collect();
        Self { resident: kib.unwrap_or(0_u64) * 1024, budget }
    }
}
