//! Any frame comes back as it went in; any bytes are read or refused, and never more than that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use wire::{Channel, Encoder, FixedBattery, FixedVoltage, Item, Quantity, Reading, decode};

fn reading() -> impl Strategy<Value = Item<'static>> {
    let quantity = prop::sample::select(&Quantity::ALL[..]);
    (quantity, 0..=Channel::MAX).prop_flat_map(|(quantity, channel)| {
        let (least, most) = quantity.range();
        let ends = prop_oneof![Just(least), Just(most), least..=most];
        prop::option::weighted(0.9, ends).prop_map(move |raw| {
            Item::Reading(Reading { quantity, channel: Channel::new(channel).unwrap(), raw })
        })
    })
}

fn item() -> impl Strategy<Value = Item<'static>> {
    prop_oneof![4 => reading(), 1 => any::<u32>().prop_map(Item::Age), 1 => any::<u32>().prop_map(Item::Time),
        1 => any::<u16>().prop_map(Item::Sequence), 1 => Just(Item::Firmware("rp2040 0.1.0")), 1 => any::<u32>().prop_map(Item::Lost)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded_as_it_was(items in prop::collection::vec(item(), 0..20), size in 1..120_usize) {
        let mut buffer = vec![0xee; size];
        let mut encoder = Encoder::new(&mut buffer).unwrap();
        let mut taken = Vec::new();
        for item in items {
            let put = match item {
                Item::Reading(reading) => encoder.put(reading),
                Item::Age(seconds) => encoder.age(seconds),
                Item::Time(seconds) => encoder.time(seconds),
                Item::Sequence(number) => encoder.sequence(number),
                Item::Firmware(text) => encoder.firmware(text),
                Item::Lost(reports) => encoder.lost(reports),
            };
            if put.is_ok() {
                taken.push(item);
            }
        }
        let frame = encoder.finish();
        prop_assert!(!matches!(frame.len(), 3 | 5));
        let decoded: Vec<_> = decode(frame).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(decoded, taken);
    }

    #[test]
    fn a_fixed_layout_is_decoded_as_it_was(tenths: i16, half_degrees in -40..=120_i16, humidity in 0..=100_u8, battery in 0..=100_u8, centivolts: u16) {
        let voltage = FixedVoltage { tenths, humidity, centivolts };
        prop_assert_eq!(FixedVoltage::decode(voltage.encode().unwrap()), Ok(voltage));
        let battery = FixedBattery { half_degrees, humidity, battery };
        prop_assert_eq!(FixedBattery::decode(battery.encode().unwrap()), Ok(battery));
    }

    #[test]
    fn three_bytes_are_one_layout_or_refused(bytes: [u8; 3]) {
        if let Ok(fixed) = FixedBattery::decode(bytes) {
            prop_assert_eq!(fixed.encode(), Ok(bytes));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut frame in prop::collection::vec(any::<u8>(), 0..80), versioned: bool) {
        let is_fixed = matches!(frame.len(), 3 | 5);
        if versioned && let Some(first) = frame.first_mut() {
            *first = 1;
        }
        let Ok(items) = decode(&frame) else { return Ok(()) };
        for item in items.flatten() {
            if let Item::Reading(Reading { quantity, raw: Some(raw), .. }) = item {
                let (least, most) = quantity.range();
                prop_assert!(is_fixed || (least..=most).contains(&raw), "{} {}", quantity, raw);
            }
        }
    }
}
