//! Turns notifications into uplinks, and queues them while the pipeline is busy.

use gateway_core::{AdapterId, Timestamp, Uplink};

use super::Follow;
use super::observed::Notification;
use crate::coap::Codecs;

/// Uplinks queued for the pipeline; further ones are lost, and counted as `no_room`.
const QUEUE_CAPACITY: usize = 256;

pub(super) struct Intake {
    adapter: AdapterId,
    codecs: Codecs,
    waiting: Vec<Uplink>,
    lost: u32,
}

impl Intake {
    pub(super) const fn new(adapter: AdapterId, codecs: Codecs) -> Self {
        Self { adapter, codecs, waiting: Vec::new(), lost: 0 }
    }

    /// Whether the queue is empty.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes and returns all queued uplinks.
    pub(super) fn take(&mut self) -> Vec<Uplink> {
        std::mem::take(&mut self.waiting)
    }

    /// Uplinks lost since the last one that was queued.
    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Queues a notification of `follow`. If no codec can read it, returns the reason; the uplink is queued all the same and
    /// counted as `bad_payload`.
    pub(super) fn add(
        &mut self,
        follow: &Follow,
        notification: Notification,
        received_at: Timestamp,
    ) -> Option<String> {
        let chosen = self.codecs.choose(
            notification.format,
            &notification.payload,
            follow.metric.is_some(),
            follow.has_codec,
        );
        let (codec, complaint) = match chosen {
            Ok(codec) => (codec, None),
            Err(refusal) => (self.codecs.json, Some(String::from_utf8_lossy(&refusal.payload).into_owned())),
        };
        if self.waiting.len() >= QUEUE_CAPACITY {
            self.lost = self.lost.saturating_add(1);
            return complaint;
        }
        self.waiting.push(Uplink {
            device: Some(follow.device.clone()),
            metric: follow.metric.clone(),
            codec,
            topic: follow.name.clone(),
            payload: notification.payload,
            lost_before: std::mem::take(&mut self.lost),
            // It was acknowledged on arrival and is not repeated.
            ..Uplink::new(self.adapter.clone(), received_at)
        });
        complaint
    }
}
