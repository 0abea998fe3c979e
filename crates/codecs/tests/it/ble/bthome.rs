//! BTHome, after bthome.io.

use codecs::ble::BleProblem;
use codecs::ble::Keys;

use crate::ble::support::{Beacon, Listener, named};

fn v2(data: &str) -> Vec<(String, f64)> {
    Beacon { service: vec![(0xfcd2, data)], ..Beacon::default() }.metrics()
}

fn v1(data: &str) -> Vec<(String, f64)> {
    Beacon { service: vec![(0x181c, data)], ..Beacon::default() }.metrics()
}

#[test]
fn version_2_measures() {
    let room = v2("40 02 CA 09  03 BF 13  04 13 8A 01  05 13 8A 14  12 E2 04");
    let expected = [
        ("temperature", 25.06),
        ("humidity", 50.55),
        ("pressure", 1008.83),
        ("illuminance", 13_460.67),
        ("co2", 1250.0),
    ];
    assert_eq!(room, named(&expected));
    let frost = v2("40 02 0C FE  45 F6 FF  57 EA  58 EA");
    let expected =
        [("temperature", -5.0), ("temperature_2", -1.0), ("temperature_3", -22.0), ("temperature_4", -7.7)];
    for (found, expected) in frost.iter().zip(named(&expected)) {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-9, "{found:?}");
    }
    let meter = v2("40 0A 13 8A 14  0B 02 1B 00  0C 02 0C  43 4E 34  5C 02 FB FF FF  5D 02 EA");
    let expected = [
        ("energy", 1346.067),
        ("power", 69.14),
        ("voltage", 3.074),
        ("current", 13.39),
        ("power_2", -12.78),
        ("current_2", -5.63),
    ];
    assert_eq!(meter, named(&expected));
}

#[test]
fn an_open_door_has_no_contact_and_a_movement_is_occupancy() {
    assert_eq!(
        v2("40 1A 01  21 01  2D 00"),
        named(&[("contact", 0.0), ("occupancy", 1.0), ("contact_2", 1.0)])
    );
    assert_eq!(
        v2("40 15 01 20 00 29 01"),
        named(&[("battery_low", 1.0), ("water_leak", 0.0), ("smoke", 1.0)])
    );
}

#[test]
fn buttons_and_dimmers_are_events() {
    assert_eq!(v2("44 3A 01"), named(&[("action.single", 1.0)]));
    assert_eq!(v2("44 3A 00 3A 02 3A 80"), named(&[("action_2.double", 1.0), ("action_3.hold", 1.0)]));
    assert_eq!(v2("44 3C 01 03"), named(&[("dimmer", -3.0)]));
    assert_eq!(v2("44 3C 02 0A"), named(&[("dimmer", 10.0)]));
    let data = Beacon { service: vec![(0xfcd2, "44 3A 04")], ..Beacon::default() }.data();
    assert_eq!(data["action"], "long");
}

#[test]
fn what_cannot_be_measured_is_passed_over_and_an_unknown_object_ends_the_reading() {
    assert_eq!(v2("40 53 03 414243 54 01 FF 01 61 F2 00 01 02"), named(&[("battery", 97.0)]));
    assert_eq!(v2("40 01 61 EE 01 02 03"), named(&[("battery", 97.0)]));
    let short = Beacon { service: vec![(0xfcd2, "40 02 CA")], ..Beacon::default() };
    assert_eq!(short.problem(), BleProblem::TooShort);
}

#[test]
fn version_1_says_how_long_and_of_which_type_a_value_is() {
    assert_eq!(v1("23 02 CA 09  03 03 BF 13"), named(&[("temperature", 25.06), ("humidity", 50.55)]));
    assert_eq!(v1("03 EE 01 02  02 01 61"), named(&[("battery", 97.0)]), "an unknown one is passed over");
}

#[test]
fn a_packet_is_heard_once() {
    let listener = Listener::new(Keys::new());
    let packet =
        |data| listener.hear(&Beacon { service: vec![(0xfcd2, data)], ..Beacon::default() }, 1).unwrap();
    assert_eq!(packet("40 00 09 01 61").len(), 1);
    assert_eq!(packet("40 00 09 01 61"), []);
    assert_eq!(packet("40 00 0A 01 61").len(), 1);
}

#[test]
fn a_shelly_tells_its_model() {
    let button = Beacon {
        service: vec![(0xfcd2, "44 00 07 01 64 3A 03")],
        maker: vec![(0x0ba9, "01 0901 0B 0500 0A 0C0B0A38C1A4")],
        ..Beacon::default()
    };
    button.measures(&[("battery", 100.0), ("action.triple", 1.0)]);
    assert_eq!(button.data()["model"], "SBMO-003Z");
}
