//! The engine's state as bytes: the body of a checkpoint.
//!
//! Version 2 is a row of parts, each its length (u32, little-endian) and its postcard: what a later version changes in
//! one part leaves the others as they are. Version 1 was one postcard of everything, before the ledger knew accounts:
//! its readings become those of the account "earlier".

use std::collections::BTreeMap;

use aggregator::Aggregator;
use alerts::Alerts;
use gateway_core::DropReason;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::deliveries::Deliveries;
use super::engine::{DeviceSeries, Engine, Settings};
use super::ledger::Ledger;
use super::origins::Origins;
use super::registry::Registry;
use super::step::AdapterIndex;

/// Raised whenever the form of a part changes; then [`read`] learns to read the one before.
pub(crate) const VERSION: u32 = 2;

/// Appends the state.
pub(crate) fn write(engine: &Engine, bytes: &mut Vec<u8>) -> Result<(), postcard::Error> {
    put(&engine.settings, bytes)?;
    put(&engine.registry, bytes)?;
    put(&engine.windows, bytes)?;
    put(&engine.alerts, bytes)?;
    put(&engine.series, bytes)?;
    put(&engine.ledger, bytes)?;
    put(&engine.deliveries, bytes)?;
    put(&engine.origins, bytes)?;
    put(&engine.listened_until, bytes)
}

/// Reads what any version up to [`VERSION`] wrote.
pub(crate) fn read(version: u32, body: &[u8]) -> Result<Engine, postcard::Error> {
    if version < 2 {
        return postcard::from_bytes::<V1>(body).map(Engine::from);
    }
    let mut parts = Parts(body);
    Ok(Engine {
        settings: parts.take()?,
        registry: parts.take()?,
        windows: parts.take()?,
        alerts: parts.take()?,
        series: parts.take()?,
        ledger: parts.take()?,
        deliveries: parts.take()?,
        origins: parts.take()?,
        listened_until: parts.take()?,
    })
}

fn put(part: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    *bytes = postcard::to_extend(part, std::mem::take(bytes))?;
    let begin = at + size_of::<u32>();
    let length = u32::try_from(bytes.len() - begin).map_err(|_| postcard::Error::SerializeBufferFull)?;
    if let Some(slot) = bytes.get_mut(at..begin) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// What is left to read.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn take<T: DeserializeOwned>(&mut self) -> Result<T, postcard::Error> {
        let short = postcard::Error::DeserializeUnexpectedEnd;
        let (length, rest) = self.0.split_first_chunk().ok_or(short.clone())?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (part, rest) = rest.split_at_checked(length).ok_or(short)?;
        self.0 = rest;
        postcard::from_bytes(part)
    }
}

/// The state as version 1 wrote it.
#[derive(Deserialize)]
struct V1 {
    settings: Settings,
    registry: Registry,
    windows: Aggregator,
    alerts: Alerts,
    series: Vec<DeviceSeries>,
    ledger: V1Ledger,
    deliveries: BTreeMap<AdapterIndex, Deliveries>,
}

#[derive(Deserialize)]
struct V1Ledger {
    taken: BTreeMap<AdapterIndex, u64>,
    dropped: BTreeMap<(AdapterIndex, DropReason), u64>,
    before: u64,
    without_upstream: u64,
}

impl From<V1> for Engine {
    fn from(v1: V1) -> Self {
        let V1 { settings, registry, windows, alerts, series, ledger, deliveries } = v1;
        let ledger = Ledger::from(ledger);
        let (origins, listened_until) = (Origins::default(), None);
        Self { settings, registry, windows, alerts, series, ledger, deliveries, origins, listened_until }
    }
}

impl From<V1Ledger> for Ledger {
    fn from(v1: V1Ledger) -> Self {
        let mut ledger = Self::default();
        ledger.take(AdapterIndex::EARLIER, v1.before + v1.taken.values().sum::<u64>());
        for ((_, reason), readings) in v1.dropped {
            ledger.drop(AdapterIndex::EARLIER, reason, readings);
        }
        if v1.without_upstream > 0 {
            ledger.drop(AdapterIndex::EARLIER, DropReason::NoUpstream, v1.without_upstream);
        }
        ledger
    }
}
