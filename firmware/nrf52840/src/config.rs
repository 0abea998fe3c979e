//! Everything that differs from node to node. As it is, it suits an nRF52840 DK with a BME280 and a BH1750.

use climate::Addresses;
use embassy_nrf::config::{HfclkSource, LfclkSource};
use embassy_nrf::radio::TxPower;
use node_core::Config;

/// The clock that runs in sleep. `InternalRC` for a board without a crystal of 32,768 Hz: less exact, and it takes more current.
pub(crate) const SLEEP_CLOCK: LfclkSource = LfclkSource::ExternalXtal;

/// The radio switches its own crystal on and off.
pub(crate) const IDLE_CLOCK: HfclkSource = HfclkSource::Internal;

/// Whether the board has the coils of the voltage converter; without them the chip does not start with it.
pub(crate) const HAS_CONVERTER: bool = true;

/// How far the beacon reaches: -40 to +8 dBm.
pub(crate) const POWER: TxPower = TxPower::_0dBm;

/// The sensors on the bus: SDA on P0.26 and SCL on P0.27. `None` for one that is not there.
pub(crate) const SENSORS: Addresses = Addresses { air: Some(0x76), light: Some(0x23) };

/// The pins of the sensors' bus: SDA and SCL. Any others will do.
macro_rules! i2c_pins {
    ($peripherals:ident) => {
        ($peripherals.P0_26, $peripherals.P0_27)
    };
}
pub(crate) use i2c_pins;

/// How often each advertisement is sent: a receiver listens to one channel at a time, and not always.
pub(crate) const REPEATS: u32 = 8;

/// How the node measures and reports: changes at once, and everything every five minutes, because whoever missed a report
/// learns of it by the next only.
pub(crate) const NODE: Config<'static> =
    Config { interval: 60, heartbeat: 300, ..Config::new(concat!("nrf52840 ", env!("CARGO_PKG_VERSION"))) };
