//! Times on air, and what a report costs by each link.

use std::time::Duration;

use battery::lora::{self, OVERHEAD, SpreadingFactor};
use battery::{Battery, Error, Node, figures};
use lorawan_link::DataRate;

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn factor(number: u8) -> SpreadingFactor {
    SpreadingFactor::new(number).unwrap()
}

/// 10 bytes of payload, as Semtech's calculator has it.
#[test]
fn known_uplinks_take_as_long_as_semtechs_calculator_says() {
    for (number, micros) in
        [(7, 61_696), (8, 113_152), (9, 205_824), (10, 370_688), (11, 823_296), (12, 1_482_752)]
    {
        assert_eq!(lora::airtime(factor(number), 10).unwrap().as_micros(), micros, "SF{number}");
    }
}

/// The network server has the formula for all of its data rates.
#[test]
fn the_network_server_computes_the_same_times() {
    for factor in SpreadingFactor::ALL {
        for payload in 0..=factor.max_payload() {
            let rate = DataRate::Lora { spreading_factor: factor.number(), bandwidth: 125 };
            let expected = lorawan_link::airtime(rate, payload + OVERHEAD, true);
            assert_eq!(lora::airtime(factor, payload), Ok(expected), "SF{} {payload}", factor.number());
        }
    }
}

#[test]
fn what_a_link_cannot_carry_is_refused() {
    assert_eq!(SpreadingFactor::new(6), Err(Error::SpreadingFactor(6)));
    assert_eq!(SpreadingFactor::new(13), Err(Error::SpreadingFactor(13)));
    assert!(matches!(Node::lorawan(factor(12), 52), Err(Error::Payload { most: 51, .. })));
    assert!(Node::lorawan(factor(9), 115).is_ok());
    assert!(matches!(Node::ble(32, 1), Err(Error::Payload { most: 31, .. })));
}

#[test]
fn a_report_that_takes_longer_than_the_interval_is_refused() {
    let node = Node::lorawan(factor(12), 51).unwrap();
    assert!(matches!(node.load(Duration::from_secs(2)), Err(Error::Interval { .. })));
    assert!(matches!(node.load(Duration::ZERO), Err(Error::Interval { .. })));
}

/// By hand: 25.5 mA for 185.344 ms, 4.82 mA for 8 symbols of 4.096 and of 32.768 ms, 3.45 mA for 30 ms, 0.714 mA for 9.3 ms.
#[test]
fn a_lorawan_report_costs_its_sending_its_windows_and_its_measurement() {
    let charge = Node::lorawan(factor(9), 5).unwrap().charge();
    let by_hand = 25.5 * 0.185_344 + 4.82 * 8.0 * (0.004_096 + 0.032_768) + 3.45 * 0.03 + 0.714 * 0.0093;
    assert!((charge - by_hand).abs() < 1e-9, "{charge} {by_hand}");
}

/// By hand: 47 bytes of 8 µs on three channels at 4.8 mA and 1.5 ms at 3.3 mA, ten times; 15 ms at 3.3 mA, and the sensor.
#[test]
fn a_ble_report_costs_three_packets_in_each_event() {
    let charge = Node::ble(31, 10).unwrap().charge();
    let by_hand = 10.0 * (4.8 * 3.0 * 47.0 * 8e-6 + 3.3 * 0.0015) + 3.3 * 0.015 + 0.714 * 0.0093;
    assert!((charge - by_hand).abs() < 1e-9, "{charge} {by_hand}");
}

#[test]
fn the_mean_current_is_sleep_and_the_charge_of_a_report_over_the_interval() {
    for node in [Node::lorawan(factor(9), 12).unwrap(), Node::ble(18, 30).unwrap(), Node::wifi()] {
        let load = node.load(TEN_MINUTES).unwrap();
        let sleep = &load.states()[0];
        let expected = sleep.milliamps() * sleep.share() + node.charge() / 600.0;
        assert!((load.milliamps() - expected).abs() < 1e-9);
        assert!(load.rest() < 1e-9);
    }
}

#[test]
fn several_measurements_in_a_report_cost_themselves_and_not_the_sending() {
    let one = Node::lorawan(factor(9), 40).unwrap();
    let six = one.clone().measuring(6);
    let a_measurement = 3.45 * 0.03 + 0.714 * 0.0093;
    assert!((six.charge() - one.charge() - 5.0 * a_measurement).abs() < 1e-9);
}

#[test]
fn a_stronger_amplifier_costs_its_current_for_the_time_on_air() {
    let node = Node::lorawan(factor(9), 5).unwrap();
    let more = node.clone().sending_at(86.0).charge() - node.charge();
    assert!((more - (86.0 - 25.5) * 0.185_344).abs() < 1e-9, "{more}");
}

#[test]
fn wifi_is_not_for_batteries() {
    let load = Node::wifi().load(TEN_MINUTES).unwrap();
    assert!(Battery::new(2_400.0).unwrap().years(load.milliamps()).unwrap() < 0.5);
}

#[test]
fn every_figure_has_a_source() {
    for figure in figures::ALL {
        assert!(figure.value > 0.0 && !figure.source.is_empty(), "{}", figure.name);
        assert_eq!(figures::ALL.iter().filter(|it| it.name == figure.name).count(), 1, "{}", figure.name);
    }
}
