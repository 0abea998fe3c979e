//! The topics of a network server's devices: the part of a topic up to the device's level.
//!
//! A filter such as `v3/floors@ttn/devices/{device}/up` gives the topic of every device. If a wildcard stands for the
//! application, the topic is learnt from the device's own messages; those of The Things Stack also contain the DevEUI for
//! a name. Learnt topics are not stored, because a device may move to another application.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::{BoundedMap, DeviceAddress};
use serde::Deserialize;

use super::TopicFilter;
use super::downlink::NetworkServer;
use super::routes::Route;

/// The most addresses remembered; a new one replaces the oldest.
const MAX_ADDRESSES: usize = 16_384;
/// The longest address in bytes; all together are at most a few megabytes.
const MAX_LENGTH: usize = DeviceAddress::MAX_BYTES;

/// The topic of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) server: NetworkServer,
    /// `v3/floors@ttn/devices/lounge`, `application/7/device/70b3d57ed0000001`.
    pub(super) device_part: Box<str>,
}

impl Address {
    /// The address in a topic.
    pub(super) fn of_topic(route: &Route, topic: &str) -> Option<Self> {
        let server = route.server?;
        let device_part = route.filter.device_part(topic).filter(|part| part.len() <= MAX_LENGTH)?.into();
        Some(Self { server, device_part })
    }

    /// The device's name in the server's topics.
    pub(super) fn device(&self) -> &str {
        self.device_part.rsplit('/').next().unwrap_or_default()
    }
}

/// Device -> address.
#[derive(Debug)]
pub(super) struct Addresses {
    filters: Vec<(TopicFilter, NetworkServer)>,
    /// By the name in the topic, and by the DevEUI.
    learnt: Mutex<BoundedMap<Arc<str>, Address>>,
}

impl Addresses {
    pub(super) fn new(routes: &[Route]) -> Self {
        let filters = routes.iter().filter_map(|route| Some((route.filter.clone(), route.server?)));
        Self { filters: filters.collect(), learnt: Mutex::new(BoundedMap::new(MAX_ADDRESSES)) }
    }

    /// Learns a device's address from the first message of a topic, and then sets `new_address` to `None`.
    pub(super) fn learn(&self, new_address: &mut Option<Address>, payload: &[u8]) {
        let Some(address) = new_address.take() else { return };
        let dev_eui = match address.server {
            NetworkServer::TheThingsStack => dev_eui(payload),
            NetworkServer::Chirpstack => None,
        };
        let names = [Some(address.device().to_owned()), dev_eui];
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.into_iter().flatten() {
            learnt.insert(DeviceAddress::canonical(&name).into(), address.clone());
        }
    }

    /// The address of `device`, a name in topics or a DevEUI.
    pub(super) fn of(&self, device: &str) -> Option<Address> {
        let device = DeviceAddress::canonical(device);
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(&*device).cloned().or_else(|| self.by_filter(&device))
    }

    /// ChirpStack's topics contain DevEUIs; those of The Things Stack contain names, which a DevEUI does not give.
    fn by_filter(&self, device: &str) -> Option<Address> {
        let is_of = |server: &NetworkServer| {
            DeviceAddress::is_dev_eui(device) == (*server == NetworkServer::Chirpstack)
        };
        self.filters.iter().filter(|(_, server)| is_of(server)).find_map(|(filter, server)| {
            let device_part = filter.device_part_of(device)?.into();
            Some(Address { server: *server, device_part })
        })
    }
}

/// The DevEUI in a message of The Things Stack.
fn dev_eui(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        end_device_ids: Ids,
    }
    #[derive(Deserialize)]
    struct Ids {
        dev_eui: String,
    }
    let message = serde_json::from_slice::<Message>(payload).ok()?;
    Some(message.end_device_ids.dev_eui).filter(|eui| DeviceAddress::is_dev_eui(eui))
}

#[cfg(test)]
mod tests;
