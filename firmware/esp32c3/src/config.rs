//! Everything that differs from node to node. **A template: change what is marked, or no broker hears the node.**

use climate::Addresses;
use node_core::{Config, Sealing};

/// CHANGE: the station address of the ESP32 that runs the broker; `espflash board-info` prints it.
pub const BROKER: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];

/// The Wi-Fi channel, 1 to 13; the same in nodes and broker.
pub const CHANNEL: u8 = 1;

/// The sensors on the bus; `None` for one that is not there.
pub const SENSORS: Addresses = Addresses { air: Some(0x76), light: Some(0x23) };

/// The pins of the bus: SDA, then SCL.
#[macro_export]
macro_rules! i2c_pins {
    ($peripherals:ident) => {
        ($peripherals.GPIO4, $peripherals.GPIO5)
    };
}

/// Where the flash keeps what waits for the broker: the partition `nvs` of espflash's default table, which nothing else uses.
pub const STORE: core::ops::Range<u32> = 0x9000..0xf000;

/// CHANGE: `Some` seals every frame, so that nobody else can read it or send in this node's name; the device's `node_key_file` at
/// the gateway has the same key (docs/node-frames.md). The id is another one for each node of a key.
static SEALING: Option<Sealing> = None;
// use node_core::wire::sealed::{Key, NodeId};
// static SEALING: Option<Sealing> =
//     Some(Sealing { node: NodeId(*b"esp32c-1"), key: Key::new([0; 32]) });

/// How the node measures and reports.
pub static NODE: Config<'static> = Config {
    interval: 300,
    sealing: SEALING.as_ref(),
    ..Config::new(concat!("esp32c3 ", env!("CARGO_PKG_VERSION")))
};
