//! The bytes of the frames, written out, both ways. Nodes that are out there send them: a line here never changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use wire::{
    Channel, DecodeError, EncodeError, Encoder, FixedBattery, FixedVoltage, Item, Quantity, Reading, decode,
};

fn on(quantity: Quantity, channel: u8, raw: impl Into<Option<i64>>) -> Item<'static> {
    Item::Reading(Reading { quantity, channel: Channel::new(channel).unwrap(), raw: raw.into() })
}

fn of(quantity: Quantity, raw: impl Into<Option<i64>>) -> Item<'static> {
    on(quantity, 0, raw)
}

fn encoded(items: &[Item<'_>]) -> Vec<u8> {
    let mut buffer = [0xee; 256];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    for item in items {
        match item {
            Item::Reading(reading) => encoder.put(*reading).unwrap(),
            Item::Age(seconds) => encoder.age(*seconds).unwrap(),
            Item::Time(seconds) => encoder.time(*seconds).unwrap(),
            Item::Sequence(number) => encoder.sequence(*number).unwrap(),
            Item::Firmware(text) => encoder.firmware(text).unwrap(),
            Item::Lost(reports) => encoder.lost(*reports).unwrap(),
        };
    }
    encoder.finish().to_vec()
}

fn decoded(frame: &[u8]) -> Result<Vec<Item<'_>>, DecodeError> {
    decode(frame)?.collect()
}

/// The frame that the items are, and the items that the frame is.
#[track_caller]
fn assert_golden(items: &[Item<'_>], frame: &[u8]) {
    assert_eq!(encoded(items), frame, "{items:?} encoded");
    assert_eq!(decoded(frame).unwrap(), items, "{frame:02x?} decoded");
}

#[test]
fn three_bytes_are_temperature_humidity_and_charge_in_22_bits() {
    for (fixed, frame, temperature) in [
        (FixedBattery { half_degrees: 43, humidity: 40, battery: 100 }, [0x53, 0x51, 0x90], 2150),
        (FixedBattery { half_degrees: -40, humidity: 0, battery: 0 }, [0, 0, 0], -2000),
        (FixedBattery { half_degrees: 120, humidity: 100, battery: 63 }, [160, 200, 0xfc], 6000),
    ] {
        assert_eq!(fixed.encode(), Ok(frame));
        let items = [
            of(Quantity::Temperature, temperature),
            of(Quantity::Humidity, i64::from(fixed.humidity) * 100),
            of(Quantity::Battery, i64::from(fixed.battery)),
        ];
        assert_eq!(decoded(&frame).unwrap(), items);
    }
}

#[test]
fn five_bytes_are_temperature_humidity_and_voltage() {
    for (fixed, frame) in [
        (FixedVoltage { tenths: -55, humidity: 61, centivolts: 330 }, [0xff, 0xc9, 0x3d, 0x01, 0x4a]),
        (FixedVoltage { tenths: 234, humidity: 65, centivolts: 370 }, [0x00, 0xea, 0x41, 0x01, 0x72]),
        (FixedVoltage { tenths: i16::MIN, humidity: 100, centivolts: u16::MAX }, [0x80, 0, 100, 0xff, 0xff]),
    ] {
        assert_eq!(fixed.encode(), Ok(frame));
        let items = [
            of(Quantity::Temperature, i64::from(fixed.tenths) * 10),
            of(Quantity::Humidity, i64::from(fixed.humidity) * 100),
            of(Quantity::Voltage, i64::from(fixed.centivolts) * 10),
        ];
        assert_eq!(decoded(&frame).unwrap(), items);
    }
}

#[test]
fn every_quantity_has_its_tag_and_its_bytes() {
    let fields: [(Quantity, i64, &[u8]); 17] = [
        (Quantity::Temperature, -550, &[0x01, 0xfd, 0xda]),
        (Quantity::Humidity, 4525, &[0x02, 0x11, 0xad]),
        (Quantity::Pressure, 10132, &[0x03, 0x27, 0x94]),
        (Quantity::Co2, 612, &[0x04, 0x02, 0x64]),
        (Quantity::Voc, 120, &[0x05, 0x00, 0x78]),
        (Quantity::Pm25, 84, &[0x06, 0x00, 0x54]),
        (Quantity::Illuminance, 12_000_000, &[0x07, 0x00, 0xb7, 0x1b, 0x00]),
        (Quantity::Occupancy, 1, &[0x08, 0x01]),
        (Quantity::Contact, 0, &[0x09, 0x00]),
        (Quantity::WaterLeak, 1, &[0x0a, 0x01]),
        (Quantity::Smoke, 0, &[0x0b, 0x00]),
        (Quantity::Battery, 97, &[0x0c, 0x61]),
        (Quantity::Voltage, 230_100, &[0x0d, 0x00, 0x03, 0x82, 0xd4]),
        (Quantity::Current, -1500, &[0x0e, 0xff, 0xff, 0xfa, 0x24]),
        (Quantity::Power, -345_000, &[0x0f, 0xff, 0xfa, 0xbc, 0x58]),
        (Quantity::Energy, 4_294_967_294, &[0x10, 0xff, 0xff, 0xff, 0xfe]),
        (Quantity::Count, 7, &[0x11, 0x00, 0x00, 0x00, 0x07]),
    ];
    assert_eq!(fields.map(|(quantity, ..)| quantity), Quantity::ALL);
    let mut frame = vec![1];
    for (_, _, bytes) in fields {
        frame.extend_from_slice(bytes);
    }
    assert_golden(&fields.map(|(quantity, raw, _)| of(quantity, raw)), &frame);
}

#[test]
fn a_sensor_that_gave_no_value_has_the_number_that_no_value_has() {
    let items = [
        of(Quantity::Temperature, None),
        of(Quantity::Co2, None),
        of(Quantity::Illuminance, None),
        of(Quantity::Contact, None),
        of(Quantity::Power, None),
    ];
    let frame = [
        1, 0x01, 0x80, 0x00, 0x04, 0xff, 0xff, 0x07, 0xff, 0xff, 0xff, 0xff, 0x09, 0xff, 0x0f, 0x80, 0, 0, 0,
    ];
    assert_golden(&items, &frame);
}

#[test]
fn the_channel_is_in_the_tags_high_bits() {
    let items =
        [on(Quantity::Temperature, 1, 2000), on(Quantity::Temperature, 7, 2100), on(Quantity::Count, 3, 1)];
    assert_golden(&items, &[1, 0x21, 0x07, 0xd0, 0xe1, 0x08, 0x34, 0x71, 0, 0, 0, 1]);
    assert_eq!(Channel::new(8), None);
}

#[test]
fn an_age_is_in_seconds_for_what_follows_it() {
    let items = [Item::Age(3600), of(Quantity::Co2, 500), Item::Age(0), of(Quantity::Co2, 600)];
    assert_golden(&items, &[1, 0x20, 0, 0, 0x0e, 0x10, 0x04, 0x01, 0xf4, 0x20, 0, 0, 0, 0, 0x04, 0x02, 0x58]);
}

#[test]
fn a_time_a_sequence_number_losses_and_the_image_have_their_tags() {
    let items = [
        Item::Sequence(0x0102),
        Item::Firmware("rp2040 0.1.0"),
        Item::Lost(300),
        Item::Time(1_795_392_000),
        of(Quantity::Co2, 500),
    ];
    let mut frame = vec![1, 0x60, 1, 2, 0x80, 12];
    frame.extend_from_slice(b"rp2040 0.1.0");
    frame.extend_from_slice(&[0xa0, 0x00, 0x00, 0x01, 0x2c]);
    frame.extend_from_slice(&[0x40, 0x6b, 0x03, 0x82, 0x00, 0x04, 0x01, 0xf4]);
    assert_golden(&items, &frame);
}

#[test]
fn an_encoder_makes_no_frame_of_three_or_five_bytes() {
    assert_golden(&[], &[1]);
    assert_golden(&[of(Quantity::Battery, 97)], &[1, 0x0c, 97, 0x00]);
    assert_golden(&[of(Quantity::Battery, 97), of(Quantity::Smoke, 0)], &[1, 0x0c, 97, 0x0b, 0, 0x00]);
    assert_golden(&[of(Quantity::Co2, 612)], &[1, 0x04, 0x02, 0x64]);
}

#[test]
fn pads_are_passed_over_wherever_they_stand() {
    let frame = [1, 0, 0, 0x04, 0x02, 0x64, 0, 0x0c, 97, 0, 0];
    assert_eq!(decoded(&frame).unwrap(), [of(Quantity::Co2, 612), of(Quantity::Battery, 97)]);
}

#[test]
fn a_field_that_finds_no_room_leaves_the_frame_as_it_was() {
    assert_eq!(Encoder::new(&mut []).unwrap_err(), EncodeError::Full);
    let full = Err(EncodeError::Full);
    let reading = |quantity, raw| Reading { quantity, channel: Channel::FIRST, raw: Some(raw) };
    // Three bytes would need a fourth.
    let mut three = [0; 3];
    let mut encoder = Encoder::new(&mut three).unwrap();
    assert_eq!(encoder.put(reading(Quantity::Battery, 97)).map(|_| ()), full);
    assert_eq!(encoder.finish(), [1]);
    let mut four = [0; 4];
    let mut encoder = Encoder::new(&mut four).unwrap();
    encoder.put(reading(Quantity::Battery, 97)).unwrap();
    assert_eq!(encoder.put(reading(Quantity::Smoke, 0)).map(|_| ()), full);
    assert_eq!(encoder.age(1).map(|_| ()), full);
    assert_eq!(encoder.finish(), [1, 0x0c, 97, 0]);
}

#[test]
fn values_that_a_field_cannot_hold_are_refused_by_the_encoder() {
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    for (quantity, raw) in [
        (Quantity::Temperature, -32768),
        (Quantity::Temperature, 32768),
        (Quantity::Humidity, 10_001),
        (Quantity::Co2, -1),
        (Quantity::Co2, 65535),
        (Quantity::Contact, 2),
        (Quantity::Battery, 101),
        (Quantity::Energy, 4_294_967_295),
        (Quantity::Power, i64::MIN),
        (Quantity::Power, i64::MAX),
    ] {
        let refused = encoder.put(Reading { quantity, channel: Channel::FIRST, raw: Some(raw) });
        assert_eq!(refused.unwrap_err(), EncodeError::OutOfRange { quantity, raw });
    }
    let text = Err(EncodeError::Text);
    for name in ["", "a name of more than 32 characters", "näme", "tab\t"] {
        assert_eq!(encoder.firmware(name).map(|_| ()), text, "{name:?}");
    }
    assert_eq!(encoder.finish(), [1]);
    let battery = FixedBattery { half_degrees: 0, humidity: 0, battery: 0 };
    for refused in [
        FixedBattery { half_degrees: -41, ..battery },
        FixedBattery { half_degrees: 121, ..battery },
        FixedBattery { half_degrees: i16::MIN, ..battery },
        FixedBattery { humidity: 101, ..battery },
        FixedBattery { battery: 101, ..battery },
    ] {
        assert!(refused.encode().is_err(), "{refused:?}");
    }
    assert!(FixedVoltage { tenths: 0, humidity: 101, centivolts: 0 }.encode().is_err());
}

#[test]
fn what_is_no_frame_is_refused_and_says_where() {
    let humidity = Quantity::Humidity;
    for (frame, error) in [
        (&[][..], DecodeError::Empty),
        (&[5, 0x01, 0, 0], DecodeError::Version { version: 5 }),
        (&[2, 0x01, 0, 0], DecodeError::Checksum),
        (&[3, 0x01, 0, 0], DecodeError::Sealed),
        (&[4, 0x01, 0, 0], DecodeError::Commands),
        (&[0], DecodeError::Version { version: 0 }),
        (&[161, 0, 0], DecodeError::OutOfRange { quantity: Quantity::Temperature, at: 0 }),
        (&[0, 202, 0], DecodeError::OutOfRange { quantity: humidity, at: 1 }),
        (&[0, 1, 0x94], DecodeError::OutOfRange { quantity: Quantity::Battery, at: 1 }),
        (&[0, 0, 1], DecodeError::Reserved { at: 2 }),
        (&[0, 0, 2], DecodeError::Reserved { at: 2 }),
        (&[0x08, 0x63, 254, 0, 0], DecodeError::OutOfRange { quantity: humidity, at: 2 }),
        (&[1, 0x04, 0x02, 0x64, 0x1f, 0], DecodeError::Tag { tag: 0x1f, at: 4 }),
        (&[1, 0xc0], DecodeError::Tag { tag: 0xc0, at: 1 }),
        (&[1, 0, 0, 0x04, 0x02, 0x64, 0x01, 0], DecodeError::Cut { at: 6 }),
        (&[1, 0x20, 0, 0], DecodeError::Cut { at: 1 }),
        (&[1, 0x0c], DecodeError::Cut { at: 1 }),
        (&[1, 0x80], DecodeError::Cut { at: 1 }),
        (&[1, 0x80, 3, b'a'], DecodeError::Cut { at: 1 }),
        (&[1, 0x80, 0, 0], DecodeError::Text { at: 1 }),
        (&[1, 0x80, 3, b'a', b'b', 7], DecodeError::Text { at: 1 }),
        (&[1, 0x02, 0x27, 0x11], DecodeError::OutOfRange { quantity: humidity, at: 1 }),
        (&[1, 0x09, 2, 0], DecodeError::OutOfRange { quantity: Quantity::Contact, at: 1 }),
    ] {
        assert_eq!(decoded(frame), Err(error), "{frame:02x?}");
    }
}

#[test]
fn errors_say_it_in_words() {
    for (error, text) in [
        (DecodeError::Version { version: 5 }, "its first byte says version 5, which is not known here"),
        (DecodeError::Tag { tag: 0x1f, at: 4 }, "the tag 0x1f at byte 4 is not known here"),
        (DecodeError::Cut { at: 6 }, "it ends within the field at byte 6"),
        (
            DecodeError::OutOfRange { quantity: Quantity::Humidity, at: 1 },
            "the humidity at byte 1 is a number that it cannot be",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn nothing_comes_behind_an_error() {
    let mut items = decode(&[1, 0x1f, 0x0c, 97]).unwrap();
    assert!(items.next().unwrap().is_err());
    assert!(items.next().is_none());
}
