//! From what a device tells to uplinks, which wait here while the pipeline is busy.

use gateway_core::{AdapterId, Timestamp, Uplink};

use super::Follow;
use super::observed::News;
use crate::coap::Codecs;

/// Uplinks that wait for the pipeline; further ones are lost, and counted as `no_room`.
const WAITING: usize = 256;

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

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All that waits.
    pub(super) fn take(&mut self) -> Vec<Uplink> {
        std::mem::take(&mut self.waiting)
    }

    /// Lost since the last uplink that found room.
    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Adds what `follow`'s device told. Where nothing reads it, the reason is returned; it goes on all the same, to be
    /// counted under `bad_payload`.
    pub(super) fn add(&mut self, follow: &Follow, news: News, received_at: Timestamp) -> Option<String> {
        let chosen =
            self.codecs.choose(news.format, &news.payload, follow.metric.is_some(), follow.has_codec);
        let (codec, complaint) = match chosen {
            Ok(codec) => (codec, None),
            Err(refusal) => (self.codecs.json, Some(String::from_utf8_lossy(&refusal.payload).into_owned())),
        };
        if self.waiting.len() >= WAITING {
            self.lost = self.lost.saturating_add(1);
            return complaint;
        }
        self.waiting.push(Uplink {
            device: Some(follow.device.clone()),
            metric: follow.metric.clone(),
            codec,
            topic: follow.name.clone(),
            payload: news.payload,
            lost_before: std::mem::take(&mut self.lost),
            // It was acknowledged when it arrived, and does not come again.
            ..Uplink::new(self.adapter.clone(), received_at)
        });
        complaint
    }
}
