//! Passes reports to the pipeline, and collects their outcomes for the senders.
//!
//! The number of reports in flight and their bytes are bounded. A report beyond that is refused; its sender still has it if
//! it waits for an answer. A report is in flight until its answer has been sent.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::{Peer, RequestId};
use foldhash::fast::FixedState;
use gateway_core::{AdapterId, CodecId, Delivery, DeviceAddress, MemoryBudget, Timestamp, Uplink, memory};
use tokio::sync::mpsc;

use crate::in_flight::{self, InFlight};

/// Reports in flight.
pub(super) const MAX_IN_FLIGHT: usize = 1_024;
/// Reports passed to the pipeline at once.
pub(super) const BATCH: usize = 256;
/// A message first sent before our start is repeated within this time (RFC 7252, 4.8.2: MAX_TRANSMIT_SPAN is 45 s). The
/// engine detects later repetitions itself. After this time equal bytes are a new message, because a device may always
/// send the same bytes.
const REPEATS_FROM_BEFORE: Duration = Duration::from_secs(60);
/// The same seed at every start, so that a message repeated after a restart has the same key.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_636f);

/// The outcome of a report, with the request it came in. A report without an outcome stays with its sender.
pub(super) type Completion = in_flight::Completion<RequestId>;

/// What a device reported.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) id: RequestId,
    pub(super) peer: &'a Peer,
    /// The hash of its message.
    pub(super) fingerprint: u64,
    pub(super) confirmable: bool,
    pub(super) device: &'a str,
    pub(super) metric: Option<&'a str>,
    pub(super) codec: CodecId,
    pub(super) payload: Bytes,
}

/// The report was not accepted, because the bounds are reached.
#[derive(Debug)]
pub(super) struct IntakeFull;

#[derive(Debug)]
pub(super) struct Intake {
    adapter: AdapterId,
    waiting: VecDeque<Uplink>,
    in_flight: InFlight<RequestId>,
    budget: MemoryBudget,
    /// Lost reports that no sender repeats.
    lost: u32,
    /// How many of them the engine has reported so far.
    lost_in_engine: u64,
    repeats_until: Instant,
}

impl Intake {
    pub(super) fn new(adapter: &AdapterId, now: Instant) -> (Self, mpsc::Receiver<Completion>) {
        let (in_flight, completions) = InFlight::new(MAX_IN_FLIGHT);
        let intake = Self {
            adapter: adapter.clone(),
            waiting: VecDeque::new(),
            in_flight,
            budget: MemoryBudget::new(memory::ADAPTER.bytes),
            lost: 0,
            lost_in_engine: 0,
            repeats_until: now + REPEATS_FROM_BEFORE,
        };
        (intake, completions)
    }

    /// Queues a report.
    pub(super) fn push(
        &mut self,
        report: Report<'_>,
        received_at: Timestamp,
        now: Instant,
    ) -> Result<(), IntakeFull> {
        let slot = self.in_flight.try_acquire();
        let memory = self.budget.try_acquire(report.payload.len());
        let (Some(slot), Some(memory)) = (slot, memory) else {
            if !report.confirmable {
                self.lost = self.lost.saturating_add(1);
            }
            return Err(IntakeFull);
        };
        let topic = match report.metric {
            Some(metric) => format!("sensors/{}/{metric}", report.device),
            None => format!("sensors/{}", report.device),
        };
        let delivery = match report.confirmable {
            true => Delivery::AtLeastOnce {
                key: key(report.peer, report.fingerprint),
                again: now < self.repeats_until,
            },
            false => Delivery::AtMostOnce,
        };
        self.waiting.push_back(Uplink {
            device: DeviceAddress::new(report.device),
            metric: report.metric.map(Into::into),
            codec: report.codec,
            topic: topic.into(),
            payload: report.payload,
            delivery,
            lost_before: std::mem::take(&mut self.lost),
            memory,
            ack: self.in_flight.ack(report.id, slot),
            ..Uplink::new(self.adapter.clone(), received_at)
        });
        Ok(())
    }

    /// Sets how many unrepeated reports the engine has dropped since its start.
    pub(super) fn lost_in_engine(&mut self, total: u64) {
        let more = total.saturating_sub(self.lost_in_engine);
        self.lost = self.lost.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.lost_in_engine = total;
    }

    /// The next reports for the pipeline.
    pub(super) fn batch(&mut self) -> Vec<Uplink> {
        let count = self.waiting.len().min(BATCH);
        self.waiting.drain(..count).collect()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether all reports are passed on and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}

/// The key of a message: the same if it is sent again from the same port or session.
fn key(peer: &Peer, fingerprint: u64) -> u64 {
    let mut hasher = KEYS.build_hasher();
    match peer.address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write_u16(peer.address.port());
    if let Some(identity) = &peer.identity {
        hasher.write(identity.as_bytes());
    }
    hasher.write_u64(fingerprint);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use coap_link::Identity;

    use super::*;

    /// If keys changed, repeated reports would be counted twice: journals contain keys of earlier versions.
    #[test]
    fn keys_are_stable_across_versions() {
        let address = "192.0.2.1:40000".parse().unwrap();
        let in_the_clear = key(&Peer::unsecured(address), 7);
        assert_eq!(in_the_clear, 11_680_589_453_157_160_180);
        assert_ne!(key(&Peer::secured(address, Identity::from("one")), 7), in_the_clear);
    }
}
