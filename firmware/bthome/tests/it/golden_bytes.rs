//! The bytes of the examples of bthome.io/format (version 2): each object has the value of its row in the table.

use bthome::{Beacon, Encoded};
use wire::{Channel, Encoder, Quantity, Reading};

fn reading(quantity: Quantity, raw: i64) -> Reading {
    Reading { quantity, channel: Channel::FIRST, raw: Some(raw) }
}

/// The objects of the only advertisement.
fn objects(readings: &[Reading]) -> Vec<u8> {
    let Encoded { advertisements, left_out } = Beacon::new(8).readings(readings);
    assert_eq!((advertisements.len(), left_out), (1, 0));
    let advertisement = &advertisements[0];
    let length = advertisement.len() as u8;
    assert_eq!(advertisement[..10], [2, 1, 6, length - 4, 0x16, 0xd2, 0xfc, 0x40, 0x00, 9]);
    advertisement[10..].to_vec()
}

#[test]
fn objects_are_those_of_the_formats_table() {
    for (quantity, raw, bytes) in [
        (Quantity::Battery, 97, &[0x01, 0x61][..]),
        (Quantity::Temperature, 2506, &[0x02, 0xca, 0x09]),
        (Quantity::Temperature, -550, &[0x02, 0xda, 0xfd]),
        (Quantity::Humidity, 5055, &[0x03, 0xbf, 0x13]),
        // The table's 1008.83 hPa has one digit more than our frames: 1008.8.
        (Quantity::Pressure, 10_088, &[0x04, 0x10, 0x8a, 0x01]),
        (Quantity::Illuminance, 1_346_067, &[0x05, 0x13, 0x8a, 0x14]),
        (Quantity::Voltage, 3074, &[0x0c, 0x02, 0x0c]),
        (Quantity::Pm25, 30_900, &[0x0d, 0x12, 0x0c]),
        (Quantity::Co2, 1250, &[0x12, 0xe2, 0x04]),
        (Quantity::Count, 1_611_213_866, &[0x3e, 0x2a, 0x2c, 0x09, 0x60]),
        (Quantity::Energy, 344_593_170, &[0x4d, 0x12, 0x13, 0x8a, 0x14]),
        (Quantity::Contact, 0, &[0x11, 0x01]),
        (Quantity::WaterLeak, 1, &[0x20, 0x01]),
        (Quantity::Occupancy, 1, &[0x23, 0x01]),
        (Quantity::Smoke, 1, &[0x29, 0x01]),
    ] {
        assert_eq!(objects(&[reading(quantity, raw)]), bytes, "{quantity} {raw}");
    }
}

#[test]
fn the_formats_example_has_the_same_objects_and_ours_a_packet_id_too() {
    // 020106 0B09... 0A16D2FC4002C40903BF13: 25.00 °C and 50.55 %.
    let bytes = objects(&[reading(Quantity::Humidity, 5055), reading(Quantity::Temperature, 2500)]);
    assert_eq!(bytes, [0x02, 0xc4, 0x09, 0x03, 0xbf, 0x13]);
}

#[test]
fn the_firmware_is_told_as_three_numbers() {
    // The table's 0xF2 example is F2000106: 6.1.0.
    let advertisement = Beacon::new(8).firmware([6, 1, 0]);
    assert_eq!(advertisement.as_slice(), [2, 1, 6, 10, 0x16, 0xd2, 0xfc, 0x40, 0, 9, 0xf2, 0, 1, 6]);
}

#[test]
fn what_does_not_fit_goes_into_a_second_advertisement_with_the_next_number() {
    let readings = [
        reading(Quantity::Co2, 1250),
        reading(Quantity::Illuminance, 1_346_067),
        reading(Quantity::Pressure, 10_088),
        reading(Quantity::Humidity, 5055),
        reading(Quantity::Temperature, 2500),
        reading(Quantity::Battery, 97),
        reading(Quantity::Voltage, 3074),
    ];
    let encoded = Beacon::new(254).readings(&readings);
    let [first, second] = encoded.advertisements.as_slice() else { panic!("{encoded:?}") };
    assert_eq!((first[9], second[9]), (255, 0));
    assert_eq!((first.len(), first[10], second[10]), (29, 0x01, 0x12));
    assert_eq!(second[10..], [0x12, 0xe2, 0x04]);
}

#[test]
fn what_bthome_cannot_say_is_counted() {
    let voc = reading(Quantity::Voc, 120);
    let bright = reading(Quantity::Illuminance, 0x0100_0000);
    let missing = Reading { raw: None, ..reading(Quantity::Temperature, 0) };
    let encoded = Beacon::default().readings(&[voc, bright, missing]);
    assert_eq!((encoded.advertisements.len(), encoded.left_out), (0, 3));
}

#[test]
fn a_frame_of_a_node_becomes_the_same_as_its_readings() {
    let readings = [reading(Quantity::Temperature, 2150), reading(Quantity::Humidity, 4000)];
    let mut buffer = [0; 51];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.sequence(7).unwrap();
    for reading in readings {
        encoder.put(reading).unwrap();
    }
    let frame = encoder.finish();
    assert_eq!(Beacon::new(3).frame(frame), Ok(Beacon::new(3).readings(&readings)));
    assert!(Beacon::new(3).frame(&[]).is_err());
}
