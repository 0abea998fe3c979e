//! Probes for meat, beer and teeth.

use crate::ble::support::Beacon;

#[test]
fn govee_probes() {
    let one = Beacon {
        name: "GVH5183_0B0C",
        maker: vec![(0x67dd, "EF01000101E40180 0866 1CE8 0000")],
        ..Beacon::default()
    };
    one.measures(&[("probe_temperature_1", 21.5), ("probe_alarm_temperature_1", 74.0)]);
    let pair = "2001000101E40286 0866 FFFF 86 FFFF FFFF";
    let pair = Beacon { name: "GVH5184_0B0C", maker: vec![(0x1b36, pair)], ..Beacon::default() };
    pair.measures(&[("probe_temperature_3", 21.5)]);
    let six = "5500 64 48 20 1A00 FFFF FFFF 20 1900 1400 B100 0000";
    let six = Beacon { maker: vec![(0xaf2f, six)], ..Beacon::default() };
    six.measures(&[
        ("probe_temperature_4", 25.0),
        ("probe_low_alarm_temperature_4", 20.0),
        ("probe_alarm_temperature_4", 177.0),
        ("battery", 100.0),
    ]);
}

#[test]
fn thermopro_probes() {
    let spike = Beacon { name: "TP960R (0000)", maker: vec![(0x3201, "00 B80B 3700")], ..Beacon::default() };
    // 0032 + …: core 20 °C, ambient 25 °C.
    spike.measures(&[("core_temperature_2", 20.0), ("ambient_temperature_2", 25.0), ("battery_2", 100.0)]);
}

#[test]
fn inkbird_probes() {
    let data = "0000 0C0B0A38C1A4 D700 FFFF CEFF 0000";
    let grill = Beacon { name: "iBBQ", maker: vec![(0x0000, data)], ..Beacon::default() };
    grill.measures(&[
        ("probe_temperature_1", 21.5),
        ("probe_temperature_3", -5.0),
        ("probe_temperature_4", 0.0),
    ]);
}

#[test]
fn a_tilt_is_an_ibeacon_that_measures() {
    let tilt = |data| Beacon { maker: vec![(0x004c, data)], ..Beacon::default() };
    let red = tilt("0215 A495BB10C5B14B44B5121370F02D74DE 0044 0400 C5");
    red.measures(&[("temperature", 20.0), ("specific_gravity", 1.024)]);
    assert_eq!(red.data()["colour"], "red");
    let pro = tilt("0215 A495BB80C5B14B44B5121370F02D74DE 02A8 2800 C5");
    pro.measures(&[("temperature", 20.0), ("specific_gravity", 1.024)]);
    assert_eq!(pro.data()["format"], "tilt");
}

#[test]
fn a_toothbrush_counts_seconds() {
    let brush = Beacon { maker: vec![(0x00dc, "03210C 03 80 01 1E 01 02 0A 04")], ..Beacon::default() };
    brush.measures(&[
        ("brushing", 1.0),
        ("pressed_too_hard", 1.0),
        ("duration", 90.0),
        ("mode", 1.0),
        ("sector", 2.0),
        ("sector_duration", 10.0),
    ]);
    assert_eq!(brush.data()["state"], "running");
}
