//! The side on which Riser asks: resources of devices that it follows ([`observed`]), and what alerts have devices do
//! ([`commands`]). It has sockets of its own, so that nothing here can hold up those who report by themselves.

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

/// What an adapter asks of devices. Nothing by default.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// The resources that it follows.
    pub follow: Vec<Follow>,
    /// Who Riser is to whom.
    pub servers: Servers,
}

/// A resource that is followed.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Where.
    pub url: Arc<CoapUrl>,
    /// The same, as `health` and the log call it.
    pub name: Arc<str>,
    /// Whose values these are.
    pub device: DeviceAddress,
    /// What they are of, where the resource is a bare number.
    pub metric: Option<Box<str>>,
    /// Whether the device has a codec of its own, which reads whatever it tells.
    pub has_codec: bool,
    /// How often it is polled where it cannot be observed.
    pub every: Duration,
}

/// Which identity and key Riser has for which DTLS server.
#[derive(Debug, Clone, Default)]
pub struct Servers(HashMap<(Box<str>, u16), (Identity, Credentials)>);

impl Servers {
    /// Riser is `identity` to the server of `url`.
    pub fn insert(&mut self, url: &CoapUrl, identity: Identity, credentials: Credentials) {
        self.0.insert((url.host().into(), url.port()), (identity, credentials));
    }

    fn of(&self, url: &CoapUrl) -> Option<&(Identity, Credentials)> {
        self.0.get(&(Box::from(url.host()), url.port()))
    }
}
