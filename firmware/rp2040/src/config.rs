//! Everything that differs from node to node. **A template: change what is marked, or the node connects to nothing.**

use core::net::{Ipv4Addr, SocketAddrV4};

use climate::Addresses;
use node_core::{Config, Sealing};
use node_mqtt::Account;

/// CHANGE: the Wi-Fi network (2.4 GHz, WPA2). Empty password: an open network.
pub(crate) const NETWORK: &str = "your-network";
pub(crate) const PASSWORD: &str = "your-password";

/// How frames go to the gateway.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "one of them is chosen below")]
pub(crate) enum Protocol {
    /// One connection for each frame, QoS 1; commands come with it.
    Mqtt(Mqtt),
    /// One confirmable POST for each frame; no commands.
    Coap(Coap),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Mqtt {
    pub(crate) broker: SocketAddrV4,
    pub(crate) account: Account<'static>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Coap {
    pub(crate) gateway: SocketAddrV4,
    /// The path that the gateway takes frames under.
    pub(crate) path: &'static str,
}

/// CHANGE: the gateway's address, which its router should keep fixed, and the node's name.
pub(crate) const PROTOCOL: Protocol = Protocol::Mqtt(Mqtt {
    broker: SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 10), 1883),
    account: Account {
        client_id: "pico-1",
        topic: "nodes/pico-1",
        command_topic: "nodes/pico-1/command",
        login: None,
    },
});
// Or:
// pub(crate) const PROTOCOL: Protocol = Protocol::Coap(Coap {
//     gateway: SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 10), 5683),
//     path: "sensors/pico-1",
// });

/// CHANGE: a time server (NTP) in the local network, often the router. `None`: frames carry the age of what had to wait.
pub(crate) const TIME_SERVER: Option<Ipv4Addr> = Some(Ipv4Addr::new(192, 168, 1, 1));

/// The sensors on the bus: I2C 0, SDA on GP4 and SCL on GP5. `None` for one that is not there.
pub(crate) const SENSORS: Addresses = Addresses { air: Some(0x76), light: Some(0x23) };

/// The pins: other ones must be of I2C 0 too.
macro_rules! i2c_pins {
    ($peripherals:ident) => {
        ($peripherals.PIN_5, $peripherals.PIN_4)
    };
}
pub(crate) use i2c_pins;

pub(crate) const FLASH_BYTES: usize = 2 * 1024 * 1024;
/// The end of the flash, for what waits for the gateway; memory.x leaves it free.
pub(crate) const STORE_BYTES: usize = 128 * 1024;

/// CHANGE: `Some` seals every frame, so that nobody else can read it or send in this node's name; the device's `node_key_file` at
/// the gateway has the same key (docs/node-frames.md). The id is another one for each node of a key.
static SEALING: Option<Sealing> = None;
// use node_core::wire::sealed::{Key, NodeId};
// static SEALING: Option<Sealing> =
//     Some(Sealing { node: NodeId(*b"rp2040-1"), key: Key::new([0; 32]) });

/// How the node measures and reports.
pub(crate) static NODE: Config<'static> = Config {
    interval: 300,
    sealing: SEALING.as_ref(),
    ..Config::new(concat!("rp2040 ", env!("CARGO_PKG_VERSION")))
};
