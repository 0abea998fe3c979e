//! The air sensor Bosch BME280 in forced mode: one measurement, then sleep. Formulas of its data sheet, section 4.2.3.

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;

use crate::AirValues;
use crate::bytes::{i8_at, i16_at, raw_16, raw_20, u8_at, u16_at};

pub(crate) const CHIP: u8 = 0x60;

const CALIBRATION_1: u8 = 0x88;
const CALIBRATION_2: u8 = 0xe1;
const CONTROL_HUMIDITY: u8 = 0xf2;
const STATUS: u8 = 0xf3;
const CONTROL: u8 = 0xf4;
const DATA: u8 = 0xf7;

/// Each quantity once.
const HUMIDITY_ONCE: u8 = 0b001;
const FORCED_ONCE: u8 = 0b001 << 5 | 0b001 << 2 | 0b01;
const IS_MEASURING: u8 = 1 << 3;
/// 9.3 ms at most (data sheet, section 9.1).
const MEASURING_MS: u32 = 10;
const TRIES: u32 = 5;

/// What the factory wrote into the sensor, by the names of the data sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calibration {
    t1: i64,
    t2: i64,
    t3: i64,
    p: [i64; 9],
    h: [i64; 6],
}

pub(crate) async fn calibration(bus: &mut impl I2c, address: u8) -> Option<Calibration> {
    let (mut first, mut second) = ([0; 26], [0; 7]);
    bus.write_read(address, &[CALIBRATION_1], &mut first).await.ok()?;
    bus.write_read(address, &[CALIBRATION_2], &mut second).await.ok()?;
    Some(Calibration::new(&first, &second))
}

pub(crate) async fn measure(
    bus: &mut impl I2c,
    delay: &mut impl DelayNs,
    address: u8,
    calibration: &Calibration,
) -> Option<AirValues> {
    bus.write(address, &[CONTROL_HUMIDITY, HUMIDITY_ONCE]).await.ok()?;
    bus.write(address, &[CONTROL, FORCED_ONCE]).await.ok()?;
    for _ in 0..TRIES {
        delay.delay_ms(MEASURING_MS).await;
        let mut status = [0];
        bus.write_read(address, &[STATUS], &mut status).await.ok()?;
        if status.iter().all(|status| status & IS_MEASURING == 0) {
            let mut data = [0; 8];
            bus.write_read(address, &[DATA], &mut data).await.ok()?;
            return Some(calibration.values(&data));
        }
    }
    None
}

impl Calibration {
    fn new(first: &[u8; 26], second: &[u8; 7]) -> Self {
        let mut p = [0; 9];
        for (number, value) in p.iter_mut().enumerate() {
            *value = if number == 0 { u16_at(first, 6) } else { i16_at(first, 6 + 2 * number) };
        }
        let shared = u8_at(second, 4);
        let h = [
            u8_at(first, 25),
            i16_at(second, 0),
            u8_at(second, 2),
            i8_at(second, 3) << 4 | shared & 0x0f,
            i8_at(second, 5) << 4 | shared >> 4,
            i8_at(second, 6),
        ];
        Self { t1: u16_at(first, 0), t2: i16_at(first, 2), t3: i16_at(first, 4), p, h }
    }

    fn values(&self, data: &[u8; 8]) -> AirValues {
        let Some(fine) = raw_20(data, 3).map(|raw| self.fine_temperature(raw)) else {
            return AirValues::default();
        };
        AirValues {
            temperature: Some((fine * 5 + 128) >> 8),
            humidity: raw_16(data, 6).map(|raw| (self.humidity(raw, fine) * 100 + 512) >> 10),
            // From 1/256 Pa to 10 Pa.
            pressure: raw_20(data, 0)
                .and_then(|raw| self.pressure(raw, fine))
                .map(|pressure| (pressure + 1280) / 2560),
        }
    }

    /// The temperature in 1/5120 °C, which the other formulas need.
    fn fine_temperature(&self, raw: i64) -> i64 {
        let first = (((raw >> 3) - (self.t1 << 1)) * self.t2) >> 11;
        let difference = (raw >> 4) - self.t1;
        let second = (((difference * difference) >> 12) * self.t3) >> 14;
        first + second
    }

    /// 1/256 Pa; `None` if the calibration is empty.
    fn pressure(&self, raw: i64, fine: i64) -> Option<i64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let t = fine - 128_000;
        let offset = t * t * p6 + ((t * p5) << 17) + (p4 << 35);
        let scale = ((t * t * p3) >> 8) + ((t * p2) << 12);
        let scale = (((1_i64 << 47) + scale).checked_mul(p1)?) >> 33;
        let p = ((((1_048_576 - raw) << 31) - offset).checked_mul(3125)?).checked_div(scale)?;
        let square = p9.checked_mul((p >> 13).checked_mul(p >> 13)?)? >> 25;
        let linear = p8.checked_mul(p)? >> 19;
        Some(((p + square + linear) >> 8) + (p7 << 4))
    }

    /// 1/1024 %.
    fn humidity(&self, raw: i64, fine: i64) -> i64 {
        let [h1, h2, h3, h4, h5, h6] = self.h;
        let t = fine - 76_800;
        let offset = ((raw << 14) - (h4 << 20) - h5 * t + 16_384) >> 15;
        let slope = ((((t * h6) >> 10) * (((t * h3) >> 11) + 32_768)) >> 10) + 2_097_152;
        let h = offset * ((slope * h2 + 8192) >> 14);
        let h = h - (((((h >> 15) * (h >> 15)) >> 7) * h1) >> 4);
        h.clamp(0, 419_430_400) >> 12
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    /// The worked example of the BMP280's data sheet, section 3.12, whose temperature and pressure are this sensor's too;
    /// humidity as in a sensor that was read.
    const EXAMPLE: Calibration = Calibration {
        t1: 27_504,
        t2: 26_435,
        t3: -1000,
        p: [36_477, -10_685, 3024, 2855, 140, -7, 15_500, -14_600, 6000],
        h: [75, 360, 0, 328, 50, 30],
    };

    #[test]
    fn temperature_and_pressure_are_those_of_the_data_sheet() {
        let fine = EXAMPLE.fine_temperature(519_888);
        assert_eq!(fine, 128_422);
        assert_eq!((fine * 5 + 128) >> 8, 2508);
        let pressure = EXAMPLE.pressure(415_148, fine).unwrap();
        assert!((pressure as f64 / 256.0 - 100_653.27).abs() < 0.05, "{pressure}");
    }

    /// The same by the data sheet's formula in floating point, section 8.1.
    fn humidity(calibration: &Calibration, raw: i64, fine: i64) -> f64 {
        let [h1, h2, h3, h4, h5, h6] = calibration.h.map(|value| value as f64);
        let t = fine as f64 - 76_800.0;
        let h = (raw as f64 - (h4 * 64.0 + h5 / 16_384.0 * t))
            * (h2 / 65_536.0 * (1.0 + h6 / 67_108_864.0 * t * (1.0 + h3 / 67_108_864.0 * t)));
        (h * (1.0 - h1 * h / 524_288.0)).clamp(0.0, 100.0)
    }

    #[test]
    fn humidity_in_integers_is_that_in_floating_point() {
        let mut between = 0;
        for raw in (0..65_536).step_by(97) {
            for fine in [-204_800, -25_600, 0, 102_400, 128_422, 256_000, 435_200] {
                let wanted = humidity(&EXAMPLE, raw, fine);
                let got = EXAMPLE.humidity(raw, fine) as f64 / 1024.0;
                assert!((got - wanted).abs() < 0.02, "{raw} {fine}: {got} {wanted}");
                between += i32::from(wanted > 1.0 && wanted < 99.0);
            }
        }
        assert!(between > 500, "{between}");
    }

    #[test]
    fn registers_are_read_as_the_data_sheet_places_them() {
        let mut first = [0; 26];
        let numbers =
            [27_504_u16, 26_435, 64_536, 36_477, 54_851, 3024, 2855, 140, 65_529, 15_500, 50_936, 6000];
        for (bytes, number) in first.chunks_exact_mut(2).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        first[25] = 75;
        // H4 is 0x148, H5 is 0x032: they share a byte.
        assert_eq!(Calibration::new(&first, &[0x68, 0x01, 0, 0x14, 0x28, 0x03, 30]), EXAMPLE);
    }

    #[test]
    fn what_was_not_measured_and_an_empty_calibration_are_no_values() {
        let none = EXAMPLE.values(&[0x80, 0, 0, 0x80, 0, 0, 0x80, 0]);
        assert_eq!(none, crate::AirValues::default());
        let only_humidity = EXAMPLE.values(&[0x80, 0, 0, 0x7e, 0xed, 0, 0x80, 0]);
        assert_eq!(only_humidity.temperature, Some(2508));
        assert_eq!((only_humidity.humidity, only_humidity.pressure), (None, None));
        assert_eq!(Calibration::new(&[0; 26], &[0; 7]).pressure(415_148, 128_422), None);
        // Whatever a broken sensor says, nothing overflows.
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            let broken = Calibration::new(&[byte; 26], &[byte; 7]);
            for data in [0x00, 0x7f, 0x80, 0xff] {
                let _ = broken.values(&[data; 8]);
            }
        }
    }
}
