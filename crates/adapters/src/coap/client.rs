//! The CoAP client: observes resources of devices ([`observed`]) and sends commands to them ([`commands`]). It has its own
//! sockets, so that it cannot delay the server.

mod commands;
mod driver;
mod intake;
mod lookup;
mod observed;
mod sessions;
mod sockets;
pub mod url;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coap_link::Identity;
use coap_link::dtls::Credentials;
use gateway_core::DeviceAddress;

pub(super) use self::driver::{Io, run};
use self::url::CoapUrl;

/// The settings of the client. Nothing is observed by default.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// The observed resources.
    pub follow: Vec<Follow>,
    /// Riser's identities at DTLS servers.
    pub servers: Servers,
}

/// An observed resource.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The resource.
    pub url: Arc<CoapUrl>,
    /// Its name in `health` and the log.
    pub name: Arc<str>,
    /// The device of the values.
    pub device: DeviceAddress,
    /// The metric, if the resource is a bare number.
    pub metric: Option<Box<str>>,
    /// Whether the device has its own codec, which reads all its payloads.
    pub has_codec: bool,
    /// The poll interval if it cannot be observed.
    pub every: Duration,
}

/// Riser's identity and key at each DTLS server.
#[derive(Debug, Clone, Default)]
pub struct Servers(HashMap<(Box<str>, u16), (Identity, Credentials)>);

impl Servers {
    /// Sets Riser's identity at the server of `url`.
    pub fn insert(&mut self, url: &CoapUrl, identity: Identity, credentials: Credentials) {
        self.0.insert((url.host().into(), url.port()), (identity, credentials));
    }

    fn of(&self, url: &CoapUrl) -> Option<&(Identity, Credentials)> {
        self.0.get(&(Box::from(url.host()), url.port()))
    }
}
