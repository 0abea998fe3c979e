//! The air sensor Bosch BME680 in forced mode, its gas sensor off. Formulas of its data sheet, section 3.3.

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;

use crate::AirValues;
use crate::bytes::{i8_at, i16_at, raw_16, raw_20, u8_at, u16_at};

pub(crate) const CHIP: u8 = 0x61;

const CALIBRATION_1: u8 = 0x89;
const CALIBRATION_2: u8 = 0xe1;
const CONTROL_GAS: u8 = 0x71;
const CONTROL_HUMIDITY: u8 = 0x72;
const CONTROL: u8 = 0x74;
/// The status, a number, and from byte 2 pressure, temperature and humidity.
const DATA: u8 = 0x1d;

const GAS_OFF: u8 = 0;
/// Each quantity once.
const HUMIDITY_ONCE: u8 = 0b001;
const FORCED_ONCE: u8 = 0b001 << 5 | 0b001 << 2 | 0b01;
const IS_NEW: u8 = 1 << 7;
const MEASURING_MS: u32 = 15;
const TRIES: u32 = 5;

/// What the factory wrote into the sensor, by the names of the data sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calibration {
    t: [i64; 3],
    p: [i64; 10],
    h: [i64; 7],
}

pub(crate) async fn calibration(bus: &mut impl I2c, address: u8) -> Option<Calibration> {
    let (mut first, mut second) = ([0; 25], [0; 16]);
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
    bus.write(address, &[CONTROL_GAS, GAS_OFF]).await.ok()?;
    bus.write(address, &[CONTROL_HUMIDITY, HUMIDITY_ONCE]).await.ok()?;
    bus.write(address, &[CONTROL, FORCED_ONCE]).await.ok()?;
    for _ in 0..TRIES {
        delay.delay_ms(MEASURING_MS).await;
        let mut data = [0; 10];
        bus.write_read(address, &[DATA], &mut data).await.ok()?;
        if data.first().is_some_and(|status| status & IS_NEW != 0) {
            return Some(calibration.values(&data));
        }
    }
    None
}

impl Calibration {
    fn new(first: &[u8; 25], second: &[u8; 16]) -> Self {
        let shared = u8_at(second, 1);
        Self {
            t: [u16_at(second, 8), i16_at(first, 1), i8_at(first, 3)],
            p: [
                u16_at(first, 5),
                i16_at(first, 7),
                i8_at(first, 9),
                i16_at(first, 11),
                i16_at(first, 13),
                i8_at(first, 16),
                i8_at(first, 15),
                i16_at(first, 19),
                i16_at(first, 21),
                u8_at(first, 23),
            ],
            h: [
                u8_at(second, 2) << 4 | shared & 0x0f,
                u8_at(second, 0) << 4 | shared >> 4,
                i8_at(second, 3),
                i8_at(second, 4),
                i8_at(second, 5),
                u8_at(second, 6),
                i8_at(second, 7),
            ],
        }
    }

    fn values(&self, data: &[u8; 10]) -> AirValues {
        let Some(fine) = raw_20(data, 5).map(|raw| self.fine_temperature(raw)) else {
            return AirValues::default();
        };
        let temperature = (fine * 5 + 128) >> 8;
        AirValues {
            temperature: Some(temperature),
            humidity: raw_16(data, 8).map(|raw| (self.humidity(raw, temperature) + 5) / 10),
            pressure: raw_20(data, 2).and_then(|raw| self.pressure(raw, fine)).map(|pa| (pa + 5) / 10),
        }
    }

    /// The temperature in 1/5120 °C, which the pressure's formula needs.
    fn fine_temperature(&self, raw: i64) -> i64 {
        let [t1, t2, t3] = self.t;
        let difference = (raw >> 3) - (t1 << 1);
        let half = difference >> 1;
        ((difference * t2) >> 11) + ((((half * half) >> 12) * (t3 << 4)) >> 14)
    }

    /// Pa; `None` if the calibration is empty.
    fn pressure(&self, raw: i64, fine: i64) -> Option<i64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = self.p;
        let t = (fine >> 1) - 64_000;
        let square = (t >> 2) * (t >> 2);
        let offset = (((square >> 11) * p6) >> 2) + ((t * p5) << 1);
        let offset = (offset >> 2) + (p4 << 16);
        let scale = ((((square >> 13) * (p3 << 5)) >> 3) + ((p2 * t) >> 1)) >> 18;
        let scale = ((32_768 + scale) * p1) >> 15;
        let p = (((1_048_576 - raw) - (offset >> 12)) * 3125 * 2).checked_div(scale)?;
        let square = p9.checked_mul((p >> 3).checked_mul(p >> 3)? >> 13)? >> 12;
        let linear = (p >> 2).checked_mul(p8)? >> 13;
        let cube = (p >> 8).checked_pow(3)?.checked_mul(p10)? >> 17;
        Some(p + ((square + linear + cube + (p7 << 7)) >> 4))
    }

    /// 0.001 %, of a temperature in 0.01 °C.
    fn humidity(&self, raw: i64, temperature: i64) -> i64 {
        let [h1, h2, h3, h4, h5, h6, h7] = self.h;
        let t = temperature;
        let offset = raw - (h1 << 4) - (((t * h3) / 100) >> 1);
        let slope = (h2 * ((t * h4) / 100 + (((t * ((t * h5) / 100)) >> 6) / 100) + (1 << 14))) >> 10;
        let h = offset * slope;
        let curve = ((h6 << 7) + (t * h7) / 100) >> 4;
        let square = ((h >> 14) * (h >> 14)) >> 10;
        let h = h + ((curve * square) >> 1);
        (((h >> 10) * 1000) >> 12).clamp(0, 100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    /// Of the size that real sensors have.
    const EXAMPLE: Calibration = Calibration {
        t: [26_125, 26_370, 3],
        p: [36_673, -10_515, 88, 6_810, -102, 30, 46, -2_893, -2_100, 30],
        h: [780, 1014, 0, 45, 20, 120, -100],
    };

    /// Temperature in °C, pressure in Pa and humidity in % by the data sheet's formulas in floating point.
    fn in_floating_point(raw_t: i64, raw_p: i64, raw_h: i64) -> (f64, f64, f64) {
        let [t1, t2, t3] = EXAMPLE.t.map(|value| value as f64);
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = EXAMPLE.p.map(|value| value as f64);
        let [h1, h2, h3, h4, h5, h6, h7] = EXAMPLE.h.map(|value| value as f64);
        let raw = raw_t as f64;
        let fine =
            (raw / 16_384.0 - t1 / 1024.0) * t2 + (raw / 131_072.0 - t1 / 8192.0).powi(2) * (t3 * 16.0);
        let t = fine / 5120.0;

        let var1 = fine / 2.0 - 64_000.0;
        let var2 = var1 * var1 * (p6 / 131_072.0) + var1 * p5 * 2.0;
        let var2 = var2 / 4.0 + p4 * 65_536.0;
        let var1 = (p3 * var1 * var1 / 16_384.0 + p2 * var1) / 524_288.0;
        let var1 = (1.0 + var1 / 32_768.0) * p1;
        let p = (1_048_576.0 - raw_p as f64 - var2 / 4096.0) * 6250.0 / var1;
        let var1 = p9 * p * p / 2_147_483_648.0;
        let var2 = p * (p8 / 32_768.0);
        let var3 = (p / 256.0).powi(3) * (p10 / 131_072.0);
        let p = p + (var1 + var2 + var3 + p7 * 128.0) / 16.0;

        let var1 = raw_h as f64 - (h1 * 16.0 + h3 / 2.0 * t);
        let var2 = var1 * (h2 / 262_144.0 * (1.0 + h4 / 16_384.0 * t + h5 / 1_048_576.0 * t * t));
        let h = var2 + (h6 / 16_384.0 + h7 / 2_097_152.0 * t) * var2 * var2;
        (t, p, h.clamp(0.0, 100.0))
    }

    #[test]
    fn values_in_integers_are_those_in_floating_point() {
        let mut humidities = 0;
        for raw_t in (420_000..=560_000).step_by(20_000) {
            for raw_p in (300_000..=420_000).step_by(10_000) {
                for raw_h in (12_000..=30_000).step_by(1500) {
                    let mut data = [0x80; 10];
                    for (bytes, raw) in data[2..8].chunks_exact_mut(3).zip([raw_p, raw_t]) {
                        bytes.copy_from_slice(&((raw << 4) as u32).to_be_bytes()[1..]);
                    }
                    data[8..].copy_from_slice(&(raw_h as u16).to_be_bytes());
                    let got = EXAMPLE.values(&data);
                    let (t, p, h) = in_floating_point(raw_t, raw_p, raw_h);
                    assert!((got.temperature.unwrap() as f64 - t * 100.0).abs() < 1.5, "{got:?} {t}");
                    assert!((got.pressure.unwrap() as f64 - p / 10.0).abs() < 1.5, "{got:?} {p}");
                    assert!((got.humidity.unwrap() as f64 - h * 100.0).abs() < 10.0, "{got:?} {h}");
                    humidities += i32::from(h > 1.0 && h < 99.0);
                }
            }
        }
        assert!(humidities > 300, "{humidities}");
    }

    #[test]
    fn registers_are_read_as_the_data_sheet_places_them() {
        let mut first = [0; 25];
        for (at, number) in
            [(1, 26_370_i16), (7, -10_515), (11, 6_810), (13, -102), (19, -2_893), (21, -2_100)]
        {
            first[at..at + 2].copy_from_slice(&number.to_le_bytes());
        }
        first[5..7].copy_from_slice(&36_673_u16.to_le_bytes());
        for (at, number) in [(3, 3), (9, 88), (15, 46), (16, 30), (23, 30)] {
            first[at] = number;
        }
        // H1 is 0x30c, H2 is 0x3f6: they share a byte. T1 is 0x660d.
        let second = [0x3f, 0x6c, 0x30, 0, 45, 20, 120, 0x9c, 0x0d, 0x66, 0, 0, 0, 0, 0, 0];
        assert_eq!(Calibration::new(&first, &second), EXAMPLE);
    }

    #[test]
    fn a_broken_sensor_makes_nothing_overflow() {
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            let broken = Calibration::new(&[byte; 25], &[byte; 16]);
            for data in [0x00, 0x7f, 0x80, 0xff] {
                let _ = broken.values(&[data; 10]);
            }
        }
    }
}
