//! The way to the gateway: the Wi-Fi network, and the protocol that the configuration chose.

use node_core::{Command, Delivery, Link, LinkError};
use node_mqtt::Commands;

use crate::config::Protocol;
use crate::net::Network;
use crate::{coap, mqtt};

/// With the header and path of CoAP it stays within a datagram of [`crate::net::DATAGRAM`] bytes.
const MTU: usize = 222;

pub(crate) struct WifiLink {
    /// `None`: the radio does not run, and what is to be sent waits in the store.
    network: Option<Network>,
    protocol: Protocol,
    commands: Commands,
}

impl WifiLink {
    pub(crate) const fn new(network: Option<Network>, protocol: Protocol) -> Self {
        Self { network, protocol, commands: Commands::new() }
    }
}

impl Link for WifiLink {
    fn mtu(&self) -> usize {
        MTU
    }

    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        let network = self.network.as_mut().ok_or(LinkError::Down)?;
        network.connect().await?;
        match &self.protocol {
            Protocol::Mqtt(config) => mqtt::deliver(network.stack, config, frame, &mut self.commands).await,
            Protocol::Coap(config) => coap::deliver(network.stack, config, frame).await,
        }
    }

    fn take_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    async fn unix_time(&mut self) -> Option<u32> {
        self.network.as_mut()?.unix_time().await
    }
}
