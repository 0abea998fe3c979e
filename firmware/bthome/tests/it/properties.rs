//! Whatever a node measured, the advertisements keep to the format.

use bthome::{Beacon, MAX_ADVERTISEMENT};
use proptest::prelude::*;
use wire::{Channel, Quantity, Reading};

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading = (0..Quantity::ALL.len(), 0..=Channel::MAX, any::<bool>(), any::<i64>()).prop_map(
        |(quantity, channel, has_value, number)| {
            let quantity = Quantity::ALL[quantity];
            let (least, most) = quantity.range();
            let raw = least + number.rem_euclid(most - least + 1);
            Reading { quantity, channel: Channel::new(channel).unwrap(), raw: has_value.then_some(raw) }
        },
    );
    prop::collection::vec(reading, 0..12)
}

/// How long the value of an object is, by the table of the format.
fn width(id: u8) -> usize {
    match id {
        0x00 | 0x01 | 0x11 | 0x20 | 0x23 | 0x29 => 1,
        0x02 | 0x03 | 0x0c | 0x0d | 0x12 => 2,
        0x04 | 0x05 => 3,
        0x3e | 0x4d => 4,
        _ => panic!("an object that is none of ours: {id:#04x}"),
    }
}

proptest! {
    #[test]
    fn every_reading_is_told_once_in_ascending_order_or_counted(readings in readings(), packet: u8) {
        let encoded = Beacon::new(packet).readings(&readings);
        let mut told = 0;
        for (number, advertisement) in encoded.advertisements.iter().enumerate() {
            prop_assert!(advertisement.len() <= MAX_ADVERTISEMENT);
            prop_assert_eq!(usize::from(advertisement[3]) + 4, advertisement.len());
            let mut rest = &advertisement[8..];
            let mut last = None;
            while let Some((&id, value)) = rest.split_first() {
                prop_assert!(last <= Some(id));
                if last.is_none() {
                    prop_assert_eq!((id, value[0]), (0, packet.wrapping_add(number as u8 + 1)));
                } else {
                    told += 1;
                }
                last = Some(id);
                rest = &value[width(id)..];
            }
        }
        prop_assert_eq!(told + encoded.left_out, readings.len());
    }

    #[test]
    fn any_bytes_are_encoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Beacon::default().frame(&bytes);
    }
}
