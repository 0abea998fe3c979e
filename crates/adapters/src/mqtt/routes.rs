//! From a topic to whom and what: the configured filters in order, with a memory for topics seen before.

use std::sync::Arc;

use gateway_core::{BoundedMap, CodecId, DeviceAddress};

use super::addresses::Address;
use super::downlink::NetworkServer;
use super::subscriptions::without_overlaps;
use super::{Captures, TopicFilter};

/// One of `[adapters.mqtt.*] topics`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which topics.
    pub filter: TopicFilter,
    /// What reads their payloads.
    pub codec: CodecId,
    /// Whether a `{device}` at the end may hold `/`, as zigbee2mqtt's names do; its other topics are then left aside.
    pub names_with_slashes: bool,
    /// Whose messages they are, where a network server speaks for LoRaWAN devices: they can then be sent something.
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

/// What a topic says of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) topic: Arc<str>,
    pub(super) device: Option<DeviceAddress>,
    pub(super) metric: Option<Box<str>>,
    pub(super) codec: CodecId,
    /// Hash of the payload that it brought last.
    pub(super) last_payload: Option<u64>,
    /// Where a network server's device is, until [`super::addresses::Addresses`] has been told.
    pub(super) untold: Option<Address>,
}

/// Finds a topic's route. Remembers [`Routes::REMEMBERED`] topics at most, then forgets the oldest: an honest building
/// stays below, and a flood of names does no more than slow itself down.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    known: BoundedMap<Arc<str>, Option<Known>>,
    /// The last topic that was too long to be remembered.
    long: Option<Known>,
}

impl Routes {
    pub(super) const REMEMBERED: usize = 16_384;
    /// Bytes; together with [`Self::REMEMBERED`] at most a few megabytes.
    const LONGEST_REMEMBERED: usize = 256;

    pub(super) fn new(routes: Vec<Route>) -> Self {
        Self { routes, known: BoundedMap::new(Self::REMEMBERED), long: None }
    }

    /// What to subscribe to: no two of them overlap.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        without_overlaps(self.routes.iter().map(|route| route.filter.subscription(route.names_with_slashes)))
    }

    /// `None` where no route wants the topic.
    pub(super) fn find(&mut self, topic: &str) -> Option<&mut Known> {
        if topic.len() > Self::LONGEST_REMEMBERED {
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

fn search(routes: &[Route], topic: &str) -> Option<Known> {
    let (route, captures) = routes.iter().find_map(|route| Some((route, route.matches(topic)?)))?;
    Some(Known {
        topic: topic.into(),
        device: captures.device.and_then(DeviceAddress::new),
        metric: captures.metric.map(Into::into),
        codec: route.codec,
        last_payload: None,
        untold: Address::of_topic(route, topic),
    })
}

#[cfg(test)]
mod tests;
