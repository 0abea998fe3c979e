//! Where a network server's devices are: the part of their topics up to the device's own level.
//!
//! A filter such as `v3/floors@ttn/devices/{device}/up` tells it of every device. Where a wildcard stands for the application
//! the device's own messages tell, and The Things Stack's tell which name belongs to a DevEUI. What was heard is forgotten at the
//! stop: a file for it would outlive moves of devices between applications.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::{BoundedMap, DeviceAddress};
use serde::Deserialize;

use super::TopicFilter;
use super::downlink::NetworkServer;
use super::routes::Route;

/// Addresses that are remembered, at most; a new one takes the place of the oldest.
const REMEMBERED: usize = 16_384;
/// Longest of them in bytes: together with [`REMEMBERED`] a few megabytes.
const LONGEST: usize = DeviceAddress::MAX_BYTES;

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) server: NetworkServer,
    /// `v3/floors@ttn/devices/lounge`, `application/7/device/70b3d57ed0000001`.
    pub(super) device_part: Box<str>,
}

impl Address {
    /// What a topic tells of it.
    pub(super) fn of_topic(route: &Route, topic: &str) -> Option<Self> {
        let server = route.server?;
        let device_part = route.filter.device_part(topic).filter(|part| part.len() <= LONGEST)?.into();
        Some(Self { server, device_part })
    }

    /// What the server's topics call the device.
    pub(super) fn device(&self) -> &str {
        self.device_part.rsplit('/').next().unwrap_or_default()
    }
}

/// Device -> address.
#[derive(Debug)]
pub(super) struct Addresses {
    filters: Vec<(TopicFilter, NetworkServer)>,
    /// By the name in the topic, and by the DevEUI.
    heard: Mutex<BoundedMap<Arc<str>, Address>>,
}

impl Addresses {
    pub(super) fn new(routes: &[Route]) -> Self {
        let filters = routes.iter().filter_map(|route| Some((route.filter.clone(), route.server?)));
        Self { filters: filters.collect(), heard: Mutex::new(BoundedMap::new(REMEMBERED)) }
    }

    /// Learns from the first message of a topic whose it is; `untold` is what the topic has not told yet.
    pub(super) fn hear(&self, untold: &mut Option<Address>, payload: &[u8]) {
        let Some(address) = untold.take() else { return };
        let dev_eui = match address.server {
            NetworkServer::TheThingsStack => dev_eui(payload),
            NetworkServer::Chirpstack => None,
        };
        let names = [Some(address.device().to_owned()), dev_eui];
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.into_iter().flatten() {
            heard.insert(DeviceAddress::canonical(&name).into(), address.clone());
        }
    }

    /// Where to send what is for `device`: a name in topics, or a DevEUI.
    pub(super) fn of(&self, device: &str) -> Option<Address> {
        let device = DeviceAddress::canonical(device);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&*device).cloned().or_else(|| self.by_filter(&device))
    }

    /// ChirpStack's topics have DevEUIs; The Things Stack's have names of its own, so a DevEUI alone tells none of them.
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
