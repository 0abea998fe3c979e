//! Measurements over a bus whose every byte is checked.

use climate::{Addresses, Climate};
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use node_core::wire::Quantity;
use node_core::{Readings, Sensors};

const AIR: u8 = 0x76;
const LIGHT: u8 = 0x23;
const BOTH: Addresses = Addresses { air: Some(AIR), light: Some(LIGHT) };

type Fault = embedded_hal::i2c::ErrorKind;
const NO_ANSWER: Fault = Fault::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address);

fn setup() -> Vec<Transaction> {
    let numbers = [27_504_u16, 26_435, 64_536, 36_477, 54_851, 3024, 2855, 140, 65_529, 15_500, 50_936, 6000];
    let mut first: Vec<u8> = numbers.into_iter().flat_map(u16::to_le_bytes).collect();
    first.extend([0, 75]);
    vec![
        Transaction::write_read(AIR, vec![0xd0], vec![0x60]),
        Transaction::write_read(AIR, vec![0x88], first),
        Transaction::write_read(AIR, vec![0xe1], vec![0x68, 0x01, 0, 0x14, 0x28, 0x03, 30]),
    ]
}

fn begin() -> Vec<Transaction> {
    vec![Transaction::write(AIR, vec![0xf2, 0x01]), Transaction::write(AIR, vec![0xf4, 0x25])]
}

/// 25.08 °C and 1006.5 hPa of the data sheet's example, and 43.44 % by its formula in floating point.
fn air() -> Vec<Transaction> {
    let mut transactions = begin();
    transactions.extend([
        // Still measuring.
        Transaction::write_read(AIR, vec![0xf3], vec![0x08]),
        Transaction::write_read(AIR, vec![0xf3], vec![0x00]),
        Transaction::write_read(AIR, vec![0xf7], vec![0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x71, 0x00]),
    ]);
    transactions
}

fn light() -> Vec<Transaction> {
    vec![
        Transaction::write(LIGHT, vec![0x01]),
        Transaction::write(LIGHT, vec![0x20]),
        // The data sheet's example: 28067 lx.
        Transaction::read(LIGHT, vec![0x83, 0x90]),
    ]
}

/// What one measurement after another gives.
fn measure(transactions: &[Transaction], addresses: Addresses, times: usize) -> Vec<Vec<Option<i64>>> {
    let mut climate = Climate::new(Mock::new(transactions), NoopDelay::new(), addresses);
    let all = (0..times).map(|_| {
        let mut readings = Readings::new();
        pollster::block_on(climate.measure(&mut readings));
        let air = [Quantity::Temperature, Quantity::Humidity, Quantity::Pressure];
        let quantities: Vec<_> = readings.iter().map(|reading| reading.quantity).collect();
        assert!(quantities.starts_with(&air) || addresses.air.is_none(), "{quantities:?}");
        readings.iter().map(|reading| reading.raw).collect()
    });
    let all = all.collect();
    climate.release().0.done();
    all
}

#[test]
fn both_sensors_are_measured_and_the_calibration_is_read_once() {
    let transactions = [setup(), air(), light(), air(), light()].concat();
    let values = measure(&transactions, BOTH, 2);
    assert_eq!(values[0], [Some(2508), Some(4344), Some(10_065), Some(2_806_666)]);
    assert_eq!(values[1], values[0]);
}

#[test]
fn a_sensor_that_fails_has_no_values_and_is_set_up_anew_while_the_other_goes_on() {
    let failed = Transaction::write(AIR, vec![0xf2, 0x01]).with_error(NO_ANSWER);
    let transactions = [setup(), vec![failed], light(), setup(), air(), light()].concat();
    let values = measure(&transactions, BOTH, 2);
    assert_eq!(values[0], [None, None, None, Some(2_806_666)]);
    assert_eq!(values[1][0], Some(2508));
}

#[test]
fn a_sensor_that_never_finishes_has_no_values() {
    let busy = vec![Transaction::write_read(AIR, vec![0xf3], vec![0x08]); 5];
    let only_air = Addresses { light: None, ..BOTH };
    assert_eq!(measure(&[setup(), begin(), busy].concat(), only_air, 1), [[None; 3]]);
}

#[test]
fn a_light_sensor_that_fails_has_no_value() {
    let failed = Transaction::write(LIGHT, vec![0x01]).with_error(NO_ANSWER);
    assert_eq!(measure(&[failed], Addresses { air: None, ..BOTH }, 1), [[None]]);
}

#[test]
fn another_chip_is_no_sensor() {
    let other = Transaction::write_read(AIR, vec![0xd0], vec![0x58]);
    assert_eq!(measure(&[other], Addresses { light: None, ..BOTH }, 1), [[None; 3]]);
}

#[cfg(feature = "bme680")]
#[test]
fn a_bme680_is_recognised_by_its_number() {
    let mut data = vec![0x80, 0];
    data.extend([0x50, 0, 0, 0x7a, 0x12, 0, 0x50, 0]);
    let mut second = vec![0x3f, 0x6c, 0x30, 0, 45, 20, 120, 0x9c, 0x0d, 0x66];
    second.resize(16, 0);
    let mut first = vec![0, 0x02, 0x67, 3];
    first.resize(25, 0);
    let transactions = [
        Transaction::write_read(AIR, vec![0xd0], vec![0x61]),
        Transaction::write_read(AIR, vec![0x89], first),
        Transaction::write_read(AIR, vec![0xe1], second),
        Transaction::write(AIR, vec![0x71, 0x00]),
        Transaction::write(AIR, vec![0x72, 0x01]),
        Transaction::write(AIR, vec![0x74, 0x25]),
        Transaction::write_read(AIR, vec![0x1d], vec![0; 10]),
        Transaction::write_read(AIR, vec![0x1d], data),
    ];
    let values = measure(&transactions, Addresses { light: None, ..BOTH }, 1);
    // 500000/16384 - 26125/1024 is 5.0049; times 26370/5120, and a little.
    assert!(values[0][0].is_some_and(|raw| (2575..=2585).contains(&raw)), "{values:?}");
    // No pressure without a calibration of it.
    assert_eq!(values[0][2], None);
}
