//! The sensors of a room on one I2C bus: air (BME280, or BME680 with the feature `bme680`) and light (BH1750).
//!
//! A sensor that fails gives readings without a value, and is set up anew at the next measurement; the others go on. All
//! arithmetic is in integers, by the formulas of the data sheets. The sensors sleep between measurements.

#![no_std]

mod air;
mod bh1750;
mod bme280;
#[cfg(feature = "bme680")]
mod bme680;
mod bytes;

pub use air::Air;
use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;
use node_core::wire::{Channel, Quantity, Reading};
use node_core::{Readings, Sensors};

/// Which sensors there are, by their addresses on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Of a BME280 or BME680: 0x76, or 0x77 where SDO is connected with the supply.
    pub air: Option<u8>,
    /// Of a BH1750: 0x23, or 0x5c where ADDR is connected with the supply.
    pub light: Option<u8>,
}

/// The sensors and their bus.
#[derive(Debug)]
pub struct Climate<I, D> {
    bus: I,
    delay: D,
    addresses: Addresses,
    /// What the air sensor's factory wrote into it, once it was read.
    air: Option<Air>,
}

/// What the air sensor measured, as [`Reading::raw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AirValues {
    /// 0.01 °C.
    pub temperature: Option<i64>,
    /// 0.01 %.
    pub humidity: Option<i64>,
    /// 0.1 hPa.
    pub pressure: Option<i64>,
}

impl<I: I2c, D: DelayNs> Climate<I, D> {
    /// Nothing is sent before the first measurement.
    pub const fn new(bus: I, delay: D, addresses: Addresses) -> Self {
        Self { bus, delay, addresses, air: None }
    }

    /// Gives the bus back.
    pub fn release(self) -> (I, D) {
        (self.bus, self.delay)
    }

    async fn measure_air(&mut self, address: u8) -> Option<AirValues> {
        // Taken out: after a failure the sensor may have lost its power, or be another one.
        let air = match self.air.take() {
            Some(air) => air,
            None => Air::find(&mut self.bus, address).await?,
        };
        let values = air.measure(&mut self.bus, &mut self.delay, address).await?;
        self.air = Some(air);
        Some(values)
    }
}

impl<I: I2c, D: DelayNs> Sensors for Climate<I, D> {
    async fn measure(&mut self, readings: &mut Readings) {
        let mut put = |quantity: Quantity, raw: Option<i64>| {
            let (least, most) = quantity.range();
            let raw = raw.filter(|raw| (least..=most).contains(raw));
            // Four readings fit: a node's measurement may have eight.
            let _ = readings.push(Reading { quantity, channel: Channel::FIRST, raw });
        };
        if let Some(address) = self.addresses.air {
            let values = self.measure_air(address).await.unwrap_or_default();
            put(Quantity::Temperature, values.temperature);
            put(Quantity::Humidity, values.humidity);
            put(Quantity::Pressure, values.pressure);
        }
        if let Some(address) = self.addresses.light {
            put(Quantity::Illuminance, bh1750::measure(&mut self.bus, &mut self.delay, address).await);
        }
    }
}
