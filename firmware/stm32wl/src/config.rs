//! Everything that differs from node to node. **A template: change what is marked, or the node joins nothing.**

use climate::Addresses;
use node_core::Config;
use node_lorawan::{Credentials, Rate, Settings};

/// CHANGE: who the node is in the LoRaWAN network, each number as the network server prints it. Do not commit the key.
pub(crate) const CREDENTIALS: Credentials =
    Credentials { dev_eui: [0; 8], join_eui: [0; 8], app_key: [0; 16] };

/// Begins at SF9; lower it for a node far from its gateway.
pub(crate) const LORAWAN: Settings = Settings { fastest: Rate::Dr3, keeps_duty_cycle: true };

/// dBm at the antenna connector; 14 is the most that EU868 allows with an antenna without gain.
pub(crate) const POWER: u8 = 14;

/// The sensors on the bus: I2C 2, SDA on PA15 and SCL on PB15. `None` for one that is not there.
pub(crate) const SENSORS: Addresses = Addresses { air: Some(0x76), light: Some(0x23) };

/// The pins of the sensors' bus: SCL and SDA. Other ones must be of I2C 2 too.
macro_rules! i2c_pins {
    ($peripherals:ident) => {
        ($peripherals.PB15, $peripherals.PA15)
    };
}
pub(crate) use i2c_pins;

/// The pins of the antenna switch: high for receiving, high for sending. Seeed's LoRa-E5 module has them inside.
macro_rules! antenna_pins {
    ($peripherals:ident) => {
        ($peripherals.PA4, $peripherals.PA5)
    };
}
pub(crate) use antenna_pins;

pub(crate) const FLASH_BYTES: u32 = 256 * 1024;
/// The end of the flash, for what waits for the gateway; memory.x leaves it free.
pub(crate) const STORE_BYTES: u32 = 32 * 1024;

/// How the node measures and reports: what changes little waits up to half an hour for others, to be sent in one frame.
pub(crate) const NODE: Config<'static> =
    Config { interval: 600, deadline: 1800, ..Config::new(concat!("stm32wl ", env!("CARGO_PKG_VERSION"))) };
