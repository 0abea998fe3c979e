//! Any frame comes back as it went in; any bytes are read or refused, and never more than that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use wire::{Channel, Climate, Encoder, Item, Quantity, Reading, decode};

fn reading() -> impl Strategy<Value = Item> {
    let quantity = prop::sample::select(&Quantity::ALL[..]);
    (quantity, 0..=Channel::MAX).prop_flat_map(|(quantity, channel)| {
        let (least, most) = quantity.range();
        let ends = prop_oneof![Just(least), Just(most), least..=most];
        prop::option::weighted(0.9, ends).prop_map(move |raw| {
            Item::Reading(Reading { quantity, channel: Channel::new(channel).unwrap(), raw })
        })
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![4 => reading(), 1 => any::<u32>().prop_map(Item::Age)]
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
    fn a_fixed_layout_is_decoded_as_it_was(
        temperature in prop::option::of(-i16::MAX..=i16::MAX),
        humidity in prop::option::of(0..=100_u8),
        voltage in prop::option::of(0..u16::MAX),
    ) {
        let climate = Climate { temperature, humidity };
        let raw = |frame: &[u8]| -> Vec<_> {
            let raw = |item| match item {
                Item::Reading(reading) => reading.raw,
                Item::Age(_) => None,
            };
            decode(frame).unwrap().map(|item| raw(item.unwrap())).collect()
        };
        let expected = [temperature.map(i64::from), humidity.map(|it| i64::from(it) * 100), voltage.map(i64::from)];
        prop_assert_eq!(raw(&climate.encode().unwrap()), &expected[..2]);
        prop_assert_eq!(raw(&climate.encode_with_voltage(voltage).unwrap()), &expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut frame in prop::collection::vec(any::<u8>(), 0..80), versioned: bool) {
        if versioned && let Some(first) = frame.first_mut() {
            *first = 1;
        }
        let Ok(items) = decode(&frame) else { return Ok(()) };
        for item in items.flatten() {
            if let Item::Reading(Reading { quantity, raw: Some(raw), .. }) = item {
                let (least, most) = quantity.range();
                prop_assert!((least..=most).contains(&raw), "{} {}", quantity, raw);
            }
        }
    }
}
