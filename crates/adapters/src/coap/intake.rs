//! The way of the reports into the pipeline, and of its word on each back to the sender.
//!
//! So many reports may be under way, and so many bytes; one more is refused, and stays with its sender if that waits for
//! an answer. What is under way holds its place until its answer has left here.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_link::{Peer, RequestId};
use foldhash::fast::FixedState;
use gateway_core::{AdapterId, CodecId, Delivery, DeviceAddress, MemoryQuota, Timestamp, Uplink, memory};
use tokio::sync::mpsc;

use crate::places::{self, Places};

/// Reports under way at once.
pub(super) const UNDER_WAY: usize = 1_024;
/// Reports handed over in one go.
pub(super) const BATCH: usize = 256;
/// A message that was first sent before we started comes again within this time (RFC 7252, 4.8.2: MAX_TRANSMIT_SPAN is
/// 45 s). Later ones the engine knows by itself; and a device that always sends the same bytes is to be believed.
const REPEATS_FROM_BEFORE: Duration = Duration::from_secs(60);
/// The same at every start, so that a message is known again that was first sent before a restart.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_636f);

/// The pipeline's word on a report, by the request that brought it. Where it could not be taken it stays with its sender.
pub(super) type Told = places::Told<RequestId>;

/// What a device reported.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) id: RequestId,
    pub(super) peer: &'a Peer,
    /// Of its message.
    pub(super) fingerprint: u64,
    pub(super) confirmable: bool,
    pub(super) device: &'a str,
    pub(super) metric: Option<&'a str>,
    pub(super) codec: CodecId,
    pub(super) payload: Bytes,
}

/// There was no room for a report.
#[derive(Debug)]
pub(super) struct NoRoom;

#[derive(Debug)]
pub(super) struct Intake {
    adapter: AdapterId,
    waiting: VecDeque<Uplink>,
    places: Places<RequestId>,
    quota: MemoryQuota,
    /// Reports that nobody will send again.
    lost: u32,
    /// How many of these the engine has told of so far.
    lost_in_engine: u64,
    repeats_until: Instant,
}

impl Intake {
    pub(super) fn new(adapter: &AdapterId, now: Instant) -> (Self, mpsc::Receiver<Told>) {
        let (places, told) = Places::new(UNDER_WAY);
        let intake = Self {
            adapter: adapter.clone(),
            waiting: VecDeque::new(),
            places,
            quota: MemoryQuota::new(memory::ADAPTER.bytes),
            lost: 0,
            lost_in_engine: 0,
            repeats_until: now + REPEATS_FROM_BEFORE,
        };
        (intake, told)
    }

    /// Puts a report behind the others.
    pub(super) fn take(
        &mut self,
        report: Report<'_>,
        received_at: Timestamp,
        now: Instant,
    ) -> Result<(), NoRoom> {
        let place = self.places.take();
        let permit = self.quota.try_take(report.payload.len());
        let (Some(place), Some(permit)) = (place, permit) else {
            if !report.confirmable {
                self.lost = self.lost.saturating_add(1);
            }
            return Err(NoRoom);
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
            permit,
            ack: self.places.ack(report.id, place),
            ..Uplink::new(self.adapter.clone(), received_at)
        });
        Ok(())
    }

    /// The engine had no room for so many reports that nobody will send again, since it began.
    pub(super) fn lost_in_engine(&mut self, total: u64) {
        let more = total.saturating_sub(self.lost_in_engine);
        self.lost = self.lost.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.lost_in_engine = total;
    }

    /// The next reports to hand over.
    pub(super) fn batch(&mut self) -> Vec<Uplink> {
        let count = self.waiting.len().min(BATCH);
        self.waiting.drain(..count).collect()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether everything was handed over and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.places.are_all_free()
    }
}

/// The same when the message is sent again: from the same port or session, byte by byte.
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

    /// A key that changes is a report counted twice: journals hold keys of earlier versions.
    #[test]
    fn a_key_is_what_every_version_made_of_the_message() {
        let address = "192.0.2.1:40000".parse().unwrap();
        let in_the_clear = key(&Peer::unsecured(address), 7);
        assert_eq!(in_the_clear, 11_680_589_453_157_160_180);
        assert_ne!(key(&Peer::secured(address, Identity::from("one")), 7), in_the_clear);
    }
}
