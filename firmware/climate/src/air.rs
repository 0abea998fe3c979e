//! The air sensor that is on the bus, by its chip's number.

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;

use crate::{AirValues, bme280};

const ID: u8 = 0xd0;

/// A sensor of temperature, humidity and pressure.
#[derive(Debug)]
pub enum Air {
    /// Bosch BME280.
    Bme280(bme280::Calibration),
    /// Bosch BME680, without its gas sensor: the resistance of that is no concentration.
    #[cfg(feature = "bme680")]
    Bme680(crate::bme680::Calibration),
}

impl Air {
    /// Reads which sensor it is and its calibration; `None` if none answers, or another one.
    pub(crate) async fn find(bus: &mut impl I2c, address: u8) -> Option<Self> {
        let mut id = [0];
        bus.write_read(address, &[ID], &mut id).await.ok()?;
        match id {
            [bme280::CHIP] => Some(Self::Bme280(bme280::calibration(bus, address).await?)),
            #[cfg(feature = "bme680")]
            [crate::bme680::CHIP] => Some(Self::Bme680(crate::bme680::calibration(bus, address).await?)),
            _ => None,
        }
    }

    pub(crate) async fn measure(
        &self,
        bus: &mut impl I2c,
        delay: &mut impl DelayNs,
        address: u8,
    ) -> Option<AirValues> {
        match self {
            Self::Bme280(calibration) => bme280::measure(bus, delay, address, calibration).await,
            #[cfg(feature = "bme680")]
            Self::Bme680(calibration) => crate::bme680::measure(bus, delay, address, calibration).await,
        }
    }
}
