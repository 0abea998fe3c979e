//! Finds device, metric and codec for a topic by the configured filters in order, and caches the results.

use std::sync::Arc;

use gateway_core::{BoundedMap, CodecId, DeviceAddress};

use super::addresses::Address;
use super::downlink::NetworkServer;
use super::subscriptions::without_overlaps;
use super::{Captures, TopicFilter};

/// One of `[adapters.mqtt.*] topics`.
#[derive(Debug, Clone)]
pub struct Route {
    /// The topics of the route.
    pub filter: TopicFilter,
    /// The codec of their payloads.
    pub codec: CodecId,
    /// Whether a `{device}` at the end may contain `/`, as in zigbee2mqtt; its other topics are then ignored.
    pub names_with_slashes: bool,
    /// The network server behind the topics, if there is one; its LoRaWAN devices can then receive commands.
    pub server: Option<NetworkServer>,
}

impl Route {
    fn matches<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        if self.names_with_slashes {
            self.filter.matches_names_with_slashes(topic)
        } else {
            self.filter.matches(topic)
        }
    }
}

/// The result for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownTopic {
    pub(super) topic: Arc<str>,
    pub(super) device: Option<DeviceAddress>,
    pub(super) metric: Option<Box<str>>,
    pub(super) codec: CodecId,
    /// Hash of the last payload.
    pub(super) last_payload: Option<u64>,
    /// The device's address at a network server, until [`super::addresses::Addresses`] has learnt it.
    pub(super) new_address: Option<Address>,
}

/// Finds a topic's route. Caches at most [`Routes::MAX_CACHED`] topics and drops the oldest; a normal building stays
/// below, and a flood of topics only slows itself down.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    known: BoundedMap<Arc<str>, Option<KnownTopic>>,
    /// The last topic that was too long for the cache.
    long: Option<KnownTopic>,
}

impl Routes {
    pub(super) const MAX_CACHED: usize = 16_384;
    /// The longest cached topic in bytes; the whole cache is at most a few megabytes.
    const MAX_CACHED_LENGTH: usize = 256;

    pub(super) fn new(routes: Vec<Route>) -> Self {
        Self { routes, known: BoundedMap::new(Self::MAX_CACHED), long: None }
    }

    /// The filters to subscribe to; no two of them overlap.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        without_overlaps(self.routes.iter().map(|route| route.filter.subscription(route.names_with_slashes)))
    }

    /// `None` if no route matches the topic.
    pub(super) fn find(&mut self, topic: &str) -> Option<&mut KnownTopic> {
        if topic.len() > Self::MAX_CACHED_LENGTH {
            self.long = search(&self.routes, topic);
            return self.long.as_mut();
        }
        if self.known.get(topic).is_none() {
            let found = search(&self.routes, topic);
            let key = found.as_ref().map_or_else(|| topic.into(), |known| Arc::clone(&known.topic));
            self.known.insert(key, found);
        }
        self.known.get_mut(topic)?.as_mut()
    }
}

fn search(routes: &[Route], topic: &str) -> Option<KnownTopic> {
    let (route, captures) = routes.iter().find_map(|route| Some((route, route.matches(topic)?)))?;
    Some(KnownTopic {
        topic: topic.into(),
        device: captures.device.and_then(DeviceAddress::new),
        metric: captures.metric.map(Into::into),
        codec: route.codec,
        last_payload: None,
        new_address: Address::of_topic(route, topic),
    })
}

#[cfg(test)]
mod tests;
