//! The engine's state as bytes: the body of a checkpoint.
//!
//! A row of parts, each its length (u32, little-endian) and its postcard: what a later version changes in one part
//! leaves the others as they are.

use serde::{Serialize, de::DeserializeOwned};

use crate::engine::Engine;
use crate::engine::messages::MessageTimes;
use crate::engine::nodes::Nodes;
use crate::engine::series::ModelCount;

/// Raised whenever the form of a part changes; then [`read`] learns to read the one before.
pub(crate) const VERSION: u32 = 5;

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
    put(&engine.listened_until, bytes)?;
    put(&engine.peers, bytes)?;
    put(&engine.combinations, bytes)?;
    put(&engine.nodes, bytes)?;
    put(&engine.message_times, bytes)?;
    put(&engine.ledger_sink, bytes)?;
    put(engine.alerts.additions(), bytes)
}

/// Reads what [`write`] wrote, in this version or an earlier one. Version 1 has no nodes, version 2 no
/// times of messages, version 3 no sink of the ledger, version 4 no additions to alerts.
pub(crate) fn read(version: u32, body: &[u8]) -> Result<Engine, postcard::Error> {
    let mut parts = Parts(body);
    let settings = parts.take()?;
    let mut engine = Engine {
        registry: parts.take()?,
        windows: parts.take()?,
        alerts: parts.take()?,
        series: parts.take()?,
        ledger: parts.take()?,
        deliveries: parts.take()?,
        origins: parts.take()?,
        listened_until: parts.take()?,
        peers: parts.take()?,
        combinations: parts.take()?,
        nodes: if version < 2 { Nodes::default() } else { parts.take()? },
        message_times: if version < 3 { MessageTimes::default() } else { parts.take()? },
        ledger_sink: if version < 4 { None } else { parts.take()? },
        ..Engine::new(settings)
    };
    engine.alerts.restore(if version < 5 { alerts::Additions::default() } else { parts.take()? });
    engine.models = ModelCount::of(&engine.series);
    Ok(engine)
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
