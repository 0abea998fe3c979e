//! A batch comes back as it went in, and one that was changed is refused.

use proptest::prelude::*;
use wire::{
    Base, BatchEncoder, Channel, DecodeError, EncodeError, Item, MAX_TAGS, Quantity, Reading, Tag, decode,
    rebase,
};

const TEMPERATURE: Tag = Tag { quantity: Quantity::Temperature, channel: Channel::FIRST };
const BATTERY: Tag = Tag { quantity: Quantity::Battery, channel: Channel::FIRST };

fn reading(tag: Tag, raw: Option<i64>) -> Item<'static> {
    Item::Reading(Reading { quantity: tag.quantity, channel: tag.channel, raw })
}

fn items(frame: &[u8]) -> Result<Vec<Item<'_>>, DecodeError> {
    decode(frame)?.collect()
}

/// 21.50 °C and 97 %; ten minutes later 21.47 °C; half a minute later 97 %.
fn golden(base: Base) -> Vec<u8> {
    let mut buffer = [0xee; 64];
    let mut batch = BatchEncoder::new(&mut buffer, 0x0102, base, &[TEMPERATURE, BATTERY]).unwrap();
    batch.push(0, &[Some(2150), Some(97)]).unwrap();
    batch.push(600, &[Some(2147), None]).unwrap();
    batch.push(30, &[None, Some(97)]).unwrap();
    batch.finish().to_vec()
}

#[test]
fn the_bytes_of_a_batch_are_these() {
    let frame = golden(Base::Age(1000));
    let expected = [
        0x02, 0x00, 0x01, 0x02, 0x00, 0x00, 0x03, 0xe8, 3, 2, 0x01, 0x0c, // header and tags
        0xcd, 0x21, 0xc3, 0x01, // 1 + 4300, 1 + 194
        0xd8, 0x04, 0x06, 0x00, // 600 s, 1 + 5, none
        0x1e, 0x00, 0x01, // 30 s, none, 1 + 0
    ];
    assert_eq!(frame[..frame.len() - 2], expected);
    let (body, crc) = frame.split_last_chunk::<2>().unwrap();
    assert_eq!(u16::from_be_bytes(*crc), 0x7d29, "the CRC of {body:02x?}");
    let after = |item: fn(u32) -> Item<'static>, times: [u32; 3]| {
        vec![
            Item::Sequence(0x0102),
            item(times[0]),
            reading(TEMPERATURE, Some(2150)),
            reading(BATTERY, Some(97)),
            item(times[1]),
            reading(TEMPERATURE, Some(2147)),
            reading(BATTERY, None),
            item(times[2]),
            reading(TEMPERATURE, None),
            reading(BATTERY, Some(97)),
        ]
    };
    assert_eq!(items(&frame).unwrap(), after(Item::Age, [1000, 400, 370]));
    let frame = golden(Base::Time(1_795_392_000));
    assert_eq!(items(&frame).unwrap(), after(Item::Time, [1_795_392_000, 1_795_392_600, 1_795_392_630]));
}

#[test]
fn a_batch_that_is_sent_later_is_older() {
    let mut frame = golden(Base::Age(0));
    rebase(&mut frame, Base::Age(1000)).unwrap();
    assert_eq!(frame, golden(Base::Age(1000)));
    rebase(&mut frame, Base::Time(5)).unwrap();
    assert_eq!(frame, golden(Base::Time(5)));
    assert!(rebase(&mut [1, 0x0c, 97, 0], Base::Age(1)).is_err());
}

#[test]
fn a_changed_bit_or_a_missing_byte_is_noticed() {
    let frame = golden(Base::Age(1000));
    for bit in 8..frame.len() * 8 {
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(items(&changed), Err(DecodeError::Checksum), "bit {bit}");
    }
    // Three and five bytes are layouts of their own.
    for length in (1..frame.len()).filter(|length| !matches!(length, 3 | 5)) {
        assert!(items(&frame[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn what_does_not_fit_leaves_the_batch_as_it_was() {
    let mut short = [0; 18];
    assert!(BatchEncoder::new(&mut short[..13], 0, Base::Age(0), &[TEMPERATURE, BATTERY]).is_err());
    let mut batch = BatchEncoder::new(&mut short, 0, Base::Age(0), &[TEMPERATURE, BATTERY]).unwrap();
    assert_eq!(batch.push(0, &[Some(2150)]), Err(EncodeError::Full), "a value is missing");
    assert!(matches!(batch.push(0, &[Some(40_000), None]), Err(EncodeError::OutOfRange { raw: 40_000, .. })));
    batch.push(0, &[Some(2150), Some(0)]).unwrap();
    assert_eq!(batch.push(1, &[Some(2150), Some(0)]), Err(EncodeError::Full));
    let frame = batch.finish();
    let expected =
        [Item::Sequence(0), Item::Age(0), reading(TEMPERATURE, Some(2150)), reading(BATTERY, Some(0))];
    assert_eq!(items(frame).unwrap(), expected);
    let mut buffer = [0; 64];
    assert!(BatchEncoder::new(&mut buffer, 0, Base::Age(0), &[]).is_err());
    assert!(BatchEncoder::new(&mut buffer, 0, Base::Age(0), &[TEMPERATURE; MAX_TAGS + 1]).is_err());
    assert!(BatchEncoder::new(&mut buffer, 0, Base::Age(0), &[TEMPERATURE]).unwrap().finish().is_empty());
}

type Row = (u32, Vec<Option<i64>>);

fn batch() -> impl Strategy<Value = (Vec<Tag>, Vec<Row>)> {
    let tag = (prop::sample::select(&Quantity::ALL[..]), 0..=Channel::MAX)
        .prop_map(|(quantity, channel)| Tag { quantity, channel: Channel::new(channel).unwrap() });
    prop::collection::vec(tag, 1..=MAX_TAGS).prop_flat_map(|tags| {
        let value = |tag: &Tag| {
            let (least, most) = tag.quantity.range();
            prop::option::of(prop_oneof![Just(least), Just(most), least..=most])
        };
        let row = (any::<u32>(), tags.iter().map(value).collect::<Vec<_>>());
        let rows = prop::collection::vec(row, 1..=64);
        (Just(tags), rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_taken_comes_back((tags, rows) in batch(), sequence: u16, start: u32, size in 40..400_usize) {
        let mut buffer = vec![0xee; size];
        let mut encoder = BatchEncoder::new(&mut buffer, sequence, Base::Time(start), &tags).unwrap();
        let mut expected = vec![Item::Sequence(sequence)];
        let mut time = start;
        for (index, (seconds, values)) in rows.iter().enumerate() {
            if encoder.push(*seconds, values).is_err() {
                break;
            }
            time = if index == 0 { start } else { time.saturating_add(*seconds) };
            expected.push(Item::Time(time));
            expected.extend(tags.iter().zip(values).map(|(tag, raw)| reading(*tag, *raw)));
        }
        if encoder.records() > 0 {
            prop_assert_eq!(items(encoder.finish()).unwrap(), expected);
        }
    }

    #[test]
    fn any_bytes_with_a_right_checksum_are_read_or_refused(mut frame in prop::collection::vec(any::<u8>(), 1..80), tags in 1..4_u8) {
        frame[0] = 2;
        if frame.len() > 12 {
            (frame[1], frame[8], frame[9], frame[10]) = (0, tags, 1, 1);
        }
        // The CRC-16 of a batch, bit by bit, to come past it.
        let crc = frame.iter().fold(0xffff_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
        });
        frame.extend_from_slice(&crc.to_be_bytes());
        let Ok(items) = decode(&frame) else { return Ok(()) };
        for item in items.flatten() {
            if let Item::Reading(Reading { quantity, raw: Some(raw), .. }) = item {
                let (least, most) = quantity.range();
                prop_assert!((least..=most).contains(&raw), "{} {}", quantity, raw);
            }
        }
    }
}
