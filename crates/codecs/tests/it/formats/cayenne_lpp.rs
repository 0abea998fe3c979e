use gateway_core::DropReason;
use serde_json::json;

use crate::formats::support::{Message, named};

const LPP: Message<'_> =
    Message { codec: "cayenne-lpp", payload: "", topic: "", device: None, metric: None, columns: &[] };

/// Names, values and units, in the frame's order.
fn read(frame: &[u8]) -> Vec<(String, f64, Option<String>)> {
    let (out, result) = LPP.decode_bytes(frame);
    result.unwrap();
    out.iter().map(|it| (it.metric.to_owned(), it.value, it.unit.map(ToOwned::to_owned))).collect()
}

fn refused(frame: &[u8]) -> String {
    let (out, result) = LPP.decode_bytes(frame);
    assert!(out.is_empty(), "a refused frame leaves nothing behind");
    let error = result.unwrap_err();
    assert_eq!(error.reason(), DropReason::BadPayload);
    error.to_string()
}

#[test]
fn reads_the_two_examples_of_cayennes_documentation() {
    let temperatures = [0x03, 0x67, 0x01, 0x10, 0x05, 0x67, 0x00, 0xff];
    let celsius = Some("Cel".to_owned());
    assert_eq!(
        read(&temperatures),
        [("temperature_3".to_owned(), 27.2, celsius.clone()), ("temperature_5".to_owned(), 25.5, celsius)]
    );
    let acceleration = [0x06, 0x71, 0x04, 0xd2, 0xfb, 0x2e, 0x00, 0x00];
    let axes: Vec<_> = read(&acceleration).into_iter().map(|(name, value, _)| (name, value)).collect();
    assert_eq!(
        axes,
        named(&[("accelerometer_6.x", 1.234), ("accelerometer_6.y", -1.234), ("accelerometer_6.z", 0.0)])
    );
}

/// One value of each type at its largest magnitude, worked out from the type's width and step.
#[test]
fn every_type_has_its_width_sign_step_name_and_unit() {
    let none: Option<&str> = None;
    for (frame, expected) in [
        (&[0x00, 0, 0xff][..], vec![("digital_input_0", 255.0, none)]),
        (&[0x01, 1, 0x01], vec![("digital_output_1", 1.0, none)]),
        (&[0x02, 2, 0x80, 0x00], vec![("analog_input_2", -327.68, none)]),
        (&[0x03, 3, 0x7f, 0xff], vec![("analog_output_3", 327.67, none)]),
        (&[0x04, 100, 0xff, 0xff, 0xff, 0xff], vec![("generic_4", 4_294_967_295.0, none)]),
        (&[0x05, 101, 0xff, 0xff], vec![("illuminance_5", 65_535.0, Some("lx"))]),
        (&[0x06, 102, 0x01], vec![("presence_6", 1.0, none)]),
        (&[0x07, 103, 0x80, 0x00], vec![("temperature_7", -3276.8, Some("Cel"))]),
        (&[0x08, 104, 0xff], vec![("humidity_8", 127.5, Some("%RH"))]),
        (&[0x09, 115, 0xff, 0xff], vec![("pressure_9", 6553.5, Some("hPa"))]),
        (&[0x0a, 116, 0xff, 0xff], vec![("voltage_10", 655.35, Some("V"))]),
        (&[0x63, 117, 0xff, 0xff], vec![("current_99", 65.535, Some("A"))]),
        (&[0x64, 118, 0xff, 0xff, 0xff, 0xff], vec![("frequency_100", 4_294_967_295.0, Some("Hz"))]),
        (&[0xff, 120, 0x64], vec![("percentage_255", 100.0, Some("/100"))]),
        (&[0x01, 121, 0x80, 0x00], vec![("altitude_1", -32_768.0, Some("m"))]),
        (&[0x01, 122, 0x80, 0x00, 0x00], vec![("load_1", -8388.608, Some("kg"))]),
        (&[0x01, 125, 0xff, 0xff], vec![("concentration_1", 65_535.0, Some("ppm"))]),
        (&[0x01, 128, 0xff, 0xff], vec![("power_1", 65_535.0, Some("W"))]),
        (&[0x01, 130, 0xff, 0xff, 0xff, 0xff], vec![("distance_1", 4_294_967.295, Some("m"))]),
        (&[0x01, 131, 0xff, 0xff, 0xff, 0xff], vec![("energy_1", 4_294_967.295, Some("kWh"))]),
        (&[0x01, 132, 0x01, 0x67], vec![("direction_1", 359.0, none)]),
        (&[0x01, 133, 0xff, 0xff, 0xff, 0xff], vec![("unix_time_1", 4_294_967_295.0, Some("s"))]),
        (&[0x01, 142, 0x00], vec![("switch_1", 0.0, none)]),
        (
            &[0x01, 134, 0x80, 0x00, 0x7f, 0xff, 0x00, 0x01],
            vec![
                ("gyrometer_1.x", -327.68, none),
                ("gyrometer_1.y", 327.67, none),
                ("gyrometer_1.z", 0.01, none),
            ],
        ),
        (
            &[0x01, 135, 0xff, 0x80, 0x00],
            vec![("colour_1.r", 255.0, none), ("colour_1.g", 128.0, none), ("colour_1.b", 0.0, none)],
        ),
        (
            &[0x01, 136, 0x80, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![
                ("gps_1.lat", -838.8608, Some("lat")),
                ("gps_1.lon", 838.8607, Some("lon")),
                ("gps_1.alt", -0.01, Some("m")),
            ],
        ),
    ] {
        let found = read(frame);
        let found: Vec<_> =
            found.iter().map(|(name, value, unit)| (&**name, *value, unit.as_deref())).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn presence_switches_and_pins_are_states() {
    let (out, result) = LPP.decode_bytes(&[1, 102, 1, 2, 142, 0, 3, 0, 1, 4, 1, 0, 5, 0, 7, 6, 104, 1]);
    result.unwrap();
    let states: Vec<_> = out.iter().map(|it| it.boolean).collect();
    assert_eq!(states, [true, true, true, true, false, false], "a pin that says 7 counts something");
}

#[test]
fn the_data_has_cayennes_own_names() {
    let frame = [1, 136, 6, 118, 95, 242, 150, 10, 0, 3, 232, 2, 115, 0x27, 0x10, 3, 101, 0, 1];
    let codec = codecs::Codec::by_name("cayenne-lpp", &codecs::Options::default()).unwrap();
    assert_eq!(
        codec.data(&LPP.input(&frame)).unwrap(),
        json!({"gps_1": {"lat": 42.3519, "lon": -87.9094, "alt": 10.0}, "barometer_2": 1000.0, "luminosity_3": 1.0})
    );
}

#[test]
fn an_empty_frame_says_nothing_and_is_fine() {
    assert_eq!(read(&[]), []);
}

#[test]
fn a_frame_that_breaks_off_is_refused_whole() {
    let frame = [3, 103, 0x01, 0x10, 5, 136, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for length in 1..frame.len() {
        if length != 4 {
            assert_eq!(
                refused(&frame[..length]),
                format!(
                    "Cayenne LPP, at byte {}: the frame ends within a value",
                    if length < 4 { 0 } else { 4 }
                )
            );
        }
    }
}

#[test]
fn a_type_that_is_not_known_refuses_the_whole_frame() {
    assert_eq!(
        refused(&[3, 103, 0x01, 0x10, 1, 254, 0]),
        "Cayenne LPP, at byte 4: the type 254 is not known, nor how long its value is"
    );
    assert_eq!(
        refused(&[1, 240, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        "Cayenne LPP, at byte 0: polylines (type 240) are lists of points and no measurement"
    );
}
