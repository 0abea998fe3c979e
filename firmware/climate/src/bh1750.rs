//! The light sensor ROHM BH1750FVI: one measurement in high resolution, after which it powers down by itself.

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;

const POWER_ON: u8 = 0x01;
const ONE_TIME_HIGH_RESOLUTION: u8 = 0x20;
/// The longest that the data sheet gives.
const MEASURING_MS: u32 = 180;

/// 0.01 lx.
pub(crate) async fn measure(bus: &mut impl I2c, delay: &mut impl DelayNs, address: u8) -> Option<i64> {
    bus.write(address, &[POWER_ON]).await.ok()?;
    bus.write(address, &[ONE_TIME_HIGH_RESOLUTION]).await.ok()?;
    delay.delay_ms(MEASURING_MS).await;
    let mut count = [0; 2];
    bus.read(address, &mut count).await.ok()?;
    // 1.2 counts per lux.
    Some(i64::from(u16::from_be_bytes(count)) * 250 / 3)
}
