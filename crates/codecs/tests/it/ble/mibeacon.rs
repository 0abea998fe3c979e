//! MiBeacon, in plain text.

use codecs::ble::BleProblem;

use crate::ble::support::{Beacon, named};

fn objects(product: &str, objects: &str) -> Vec<(String, f64)> {
    let data = format!("4050 {product} 01 {objects}");
    Beacon { service: vec![(0xfe95, &data)], ..Beacon::default() }.metrics()
}

#[test]
fn a_room_is_measured() {
    let room = objects("5b05", "0d10 04 D7FF 2602  0a10 01 58  0710 03 2C0100");
    let expected = [("temperature", -4.1), ("humidity", 55.0), ("battery", 88.0), ("illuminance", 300.0)];
    assert_eq!(room, named(&expected));
    assert_eq!(
        objects("9800", "0810 01 40  0910 02 5702"),
        named(&[("moisture", 64.0), ("conductivity", 599.0)])
    );
    assert_eq!(objects("b555", "014c 04 CDCCAC41"), named(&[("temperature", 21.6)]));
}

#[test]
fn a_door_a_leak_and_smoke_are_states() {
    assert_eq!(objects("d603", "1910 01 00"), named(&[("contact", 0.0)]));
    assert_eq!(objects("d603", "1910 01 01"), named(&[("contact", 1.0)]));
    assert_eq!(objects("6308", "1410 01 01"), named(&[("water_leak", 1.0)]));
    assert_eq!(objects("9709", "1510 01 00"), named(&[("smoke", 0.0)]));
    assert_eq!(objects("eb2a", "1848 02 3C00"), named(&[("occupancy", 0.0)]));
    assert_eq!(objects("eb2a", "084a 04 00006443"), named(&[("occupancy", 1.0), ("illuminance", 228.0)]));
}

#[test]
fn a_button_says_which_and_how() {
    assert_eq!(objects("bf07", "0110 03 000002"), named(&[("action.long", 1.0)]));
    assert_eq!(objects("5301", "0110 03 010000"), named(&[("action_off.single", 1.0)]));
    assert_eq!(
        objects("fd0d", "0110 03 050001"),
        named(&[("action_left.long", 1.0), ("action_right.long", 1.0)])
    );
    assert_eq!(objects("b603", "0110 03 00FE04"), named(&[("dimmer", -2.0)]));
    assert_eq!(objects("4919", "0d4e 01 02"), named(&[("action_right.double", 1.0)]));
}

#[test]
fn a_lock_says_who_did_what() {
    let data = "4050 9e06 01 0b00 09 20 02000180 00000000";
    let lock = Beacon { service: vec![(0xfe95, data)], ..Beacon::default() };
    lock.measures(&[("lock", 1.0), ("action.unlock_outside", 1.0)]);
    assert_eq!(lock.data()["method"], "biometrics");
    assert_eq!(lock.data()["model"], "ZNMS16LM");
}

#[test]
fn capability_and_address_are_stepped_over() {
    // The capability says that what the device can show and enter follows.
    let data = "7050 5b05 01 0C0B0A38C1A4 20 01 0a10 01 58";
    Beacon { service: vec![(0xfe95, data)], ..Beacon::default() }.measures(&[("battery", 88.0)]);
    let empty = "1050 5b05 01 0C0B0A38C1A4";
    Beacon { service: vec![(0xfe95, empty)], ..Beacon::default() }.measures(&[]);
}

#[test]
fn what_is_not_the_senders_own_is_refused() {
    let problem = |data| Beacon { service: vec![(0xfe95, data)], ..Beacon::default() }.problem();
    assert!(matches!(problem("5050 5b05 01 000000000000 0a10 01 58"), BleProblem::Layout(_)));
    assert!(matches!(problem("c050 5b05 01 0a10 01 58"), BleProblem::Layout(_)), "mesh");
    assert!(matches!(problem("4010 5b05 01 0a10 01 58"), BleProblem::Layout(_)), "version 1");
    assert_eq!(problem("4050 5b05 01 0a10 02 58"), BleProblem::TooShort);
}

#[test]
fn an_unknown_product_and_an_unknown_object_do_no_harm() {
    assert_eq!(objects("ffff", "ffff 02 0000 0a10 01 58"), named(&[("battery", 88.0)]));
    assert_eq!(objects("ffff", "0a10 02 5858"), named(&[]), "another length is another meaning");
}

#[test]
fn scales_tell_a_weight_that_stands_still() {
    let scale = |data| Beacon { service: vec![(0x181d, data)], ..Beacon::default() }.metrics();
    assert_eq!(scale("22 A438 E507 04 0b 10 13 01"), named(&[("weight", 72.5), ("weight_moving", 72.5)]));
    assert_eq!(scale("02 A438 E507 04 0b 10 13 01"), named(&[("weight_moving", 72.5)]));
    let body = Beacon { service: vec![(0x181b, "02 26 B207 01 01 01 01 01 F401 A438")], ..Beacon::default() };
    body.measures(&[("weight", 72.5), ("weight_moving", 72.5), ("impedance", 500.0)]);
}
