//! A message that is kept.

use std::sync::Arc;

use bytes::Bytes;

use super::Now;
use crate::packet::QoS;

/// Who published a message, to check later whether it still may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Publisher {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) client: Arc<str>,
}

/// A message, shared by all who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// As it was published.
    pub qos: QoS,
    /// As it was published.
    pub retain: bool,
    /// Properties that are passed on, encoded as in a PUBLISH.
    pub properties: Bytes,
    /// Monotonic milliseconds after which nobody wants it any more.
    pub(crate) expires: Option<u64>,
    /// `None`: the gateway itself.
    pub(crate) publisher: Option<Publisher>,
}

/// What one message costs besides its bytes: the entry of a queue, the heads of its parts.
const OVERHEAD: usize = 200;

impl Message {
    /// Who published it, if that is a user.
    #[must_use]
    pub fn user(&self) -> Option<&Arc<str>> {
        self.publisher.as_ref()?.user.as_ref()
    }

    /// A message of the gateway itself, at QoS 1.
    #[must_use]
    pub fn internal(topic: &str, payload: Bytes, retain: bool) -> Self {
        Self {
            topic: topic.into(),
            payload,
            qos: QoS::AtLeastOnce,
            retain,
            properties: Bytes::new(),
            expires: None,
            publisher: None,
        }
    }

    /// Bytes in memory, about.
    pub(crate) fn cost(&self) -> usize {
        let publisher = self
            .publisher
            .as_ref()
            .map_or(0, |one| one.client.len() + one.user.as_ref().map_or(0, |user| user.len()));
        self.topic.len() + self.payload.len() + self.properties.len() + publisher + OVERHEAD
    }

    pub(crate) fn is_expired(&self, now: Now) -> bool {
        self.expires.is_some_and(|expires| expires <= now.monotonic)
    }

    /// Seconds until it expires, at least 1.
    pub(crate) fn remaining_expiry(&self, now: Now) -> Option<u32> {
        let left = self.expires?.saturating_sub(now.monotonic).div_ceil(1000);
        Some(u32::try_from(left).unwrap_or(u32::MAX).max(1))
    }
}
