//! Beacons that say that they are there.

use codecs::ble::{Advertisement, BleProblem, Kind, identity};

use crate::ble::support::Beacon;

const IBEACON: &str = "0215 00112233445566778899AABBCCDDEEFF 0064 0007 C5";

#[test]
fn an_ibeacon_is_named_by_uuid_major_and_minor() {
    let beacon = Beacon { maker: vec![(0x004c, IBEACON)], ..Beacon::default() };
    beacon.measures(&[("presence", 1.0), ("power_at_1m", -59.0)]);
    let name = "00112233-4455-6677-8899-aabbccddeeff/100/7";
    assert_eq!(beacon.data()["identity"], name);
    assert_eq!(identity(&Advertisement::parse(&beacon.bytes()).unwrap()).as_deref(), Some(name));
    let other = Beacon { maker: vec![(0x004c, "1005 0B1C")], ..Beacon::default() };
    assert_eq!(other.problem(), BleProblem::Unknown, "a phone nearby");
}

#[test]
fn an_ibeacon_that_a_sensor_sends_along_is_not_what_it_is() {
    let tag = Beacon { maker: vec![(0x004c, IBEACON), (0x0499, "05")], ..Beacon::default() };
    assert_eq!(Kind::of(&Advertisement::parse(&tag.bytes()).unwrap()), Some(Kind::Ruuvi));
}

#[test]
fn eddystone_tells_identity_address_and_telemetry() {
    let frame = |data| Beacon { service: vec![(0xfeaa, data)], ..Beacon::default() };
    let uid = frame("00 E7 00112233445566778899 AABBCCDDEEFF 0000");
    uid.measures(&[("presence", 1.0), ("power_at_0m", -25.0)]);
    assert_eq!(uid.data()["identity"], "00112233445566778899aabbccddeeff");
    let url = frame("10 E7 03 6578616D706C65 07");
    url.measures(&[("presence", 1.0), ("power_at_0m", -25.0)]);
    assert_eq!(url.data()["url"], "https://example.com");
    frame("20 00 0BB8 1580 00000064 00000E10").measures(&[
        ("voltage", 3.0),
        ("temperature", 21.5),
        ("advertisements", 100.0),
        ("uptime", 360.0),
    ]);
    frame("20 00 0000 8000 00000064 00000E10").measures(&[("advertisements", 100.0), ("uptime", 360.0)]);
    assert!(matches!(frame("20 01 000102030405060708090A0B 0000 0000").problem(), BleProblem::Closed(_)));
    assert!(matches!(frame("30 E7 0001020304050607").problem(), BleProblem::Closed(_)));
}

#[test]
fn every_format_stands_in_the_docs() {
    let docs = include_str!("../../../../../docs/ble.md");
    let (_, formats) = docs.split_once("\n## Formats\n").unwrap();
    let (formats, _) = formats.split_once("\n## ").unwrap();
    for kind in Kind::ALL {
        assert!(formats.contains(&format!("\n| `{}` | ", kind.name())), "{}", kind.name());
    }
    assert_eq!(formats.matches("\n| `").count(), Kind::ALL.len(), "a format that is not there any more");
}
