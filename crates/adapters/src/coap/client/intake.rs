//! From what a device tells to uplinks, which wait here while the pipeline is busy.

use coap_link::ContentFormat;
use gateway_core::{Ack, AdapterId, CodecId, Delivery, LinkQuality, Room, Timestamp, Uplink};

use super::observed::News;
use super::{Codecs, Follow};

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

    /// Adds what `follow`'s device told. Where nothing here reads its content format, that is the reason returned; it
    /// goes on all the same, to be counted under `bad_payload`.
    pub(super) fn add(&mut self, follow: &Follow, news: News, received_at: Timestamp) -> Option<String> {
        let (codec, complaint) = match self.codecs.of(news.format, follow.metric.is_some()) {
            Ok(codec) => (codec, None),
            Err((codec, complaint)) => (codec, Some(complaint)),
        };
        if self.waiting.len() >= WAITING {
            self.lost = self.lost.saturating_add(1);
            return complaint;
        }
        self.waiting.push(Uplink {
            adapter: self.adapter.clone(),
            device: Some(follow.device.clone()),
            metric: follow.metric.clone(),
            codec,
            topic: follow.name.clone(),
            received_at,
            port: None,
            link: LinkQuality::default(),
            payload: news.payload,
            // It was acknowledged when it arrived, and does not come again.
            delivery: Delivery::AtMostOnce,
            lost_before: std::mem::take(&mut self.lost),
            room: Room::unbounded(),
            ack: Ack::none(),
        });
        complaint
    }
}

impl Codecs {
    fn of(&self, format: Option<ContentFormat>, bare: bool) -> Result<CodecId, (CodecId, String)> {
        let usual = if bare { self.value } else { self.json };
        match format {
            None => Ok(usual),
            Some(ContentFormat::TEXT | ContentFormat::JSON) => Ok(usual),
            Some(ContentFormat::CBOR) if !bare => Ok(self.cbor),
            Some(ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR) if !bare => Ok(self.senml),
            Some(ContentFormat(number)) => Err((
                usual,
                match bare {
                    true => {
                        format!("tells content format {number}; with `metric`, a number as text (0) is read")
                    }
                    false => format!(
                        "tells content format {number}; JSON (50), CBOR (60) and SenML (110, 112) are read"
                    ),
                },
            )),
        }
    }
}
