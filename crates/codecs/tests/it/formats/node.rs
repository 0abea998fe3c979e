//! `node`, and docs/node-frames.md: its tables say what the code does.

use codecs::Codec;
use gateway_core::DropReason;
use wire::sealed::{Header, Key, NodeId, seal};
use wire::{Base, BatchEncoder, Channel, Encoder, Quantity, Reading, Tag};

use crate::formats::support::{ARRIVAL, Message, named, options};

const DOCS: &str = include_str!("../../../../../docs/node-frames.md");

const NODE: Message<'_> =
    Message { codec: "node", payload: "", topic: "", device: None, metric: None, columns: &[] };

/// The cells of the rows whose first cell is code.
fn rows(cells: usize) -> Vec<Vec<&'static str>> {
    let row = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let rows = DOCS.lines().filter(|line| line.starts_with("| `")).map(row);
    rows.filter(|row| row.len() == cells).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Name, value, time less the arrival in seconds, and unit.
fn found(frame: &[u8]) -> Vec<(String, f64, Option<i64>, Option<String>)> {
    let (out, result) = NODE.decode_bytes(frame);
    result.unwrap();
    let since = |at: gateway_core::Timestamp| (at.as_millis() - ARRIVAL) / 1000;
    out.iter().map(|it| (it.metric.into(), it.value, it.at.map(since), it.unit.map(Into::into))).collect()
}

fn metrics(frame: &[u8]) -> Vec<(String, f64)> {
    found(frame).into_iter().map(|(metric, value, ..)| (metric, value)).collect()
}

fn refusal(frame: &[u8]) -> String {
    let (out, result) = NODE.decode_bytes(frame);
    assert!(out.is_empty(), "a refused frame leaves nothing behind");
    let error = result.unwrap_err();
    assert_eq!(error.reason(), DropReason::BadPayload);
    std::error::Error::source(&error).unwrap().to_string()
}

fn frame(readings: &[Reading]) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    for reading in readings {
        encoder.put(*reading).unwrap();
    }
    encoder.finish().to_vec()
}

#[test]
fn every_frame_in_the_docs_makes_the_metrics_beside_it() {
    let rows = rows(2);
    assert_eq!(rows.len(), 11, "frames with their metrics");
    for row in rows {
        let listed = if row[1] == "none" { Vec::new() } else { row[1].split(", ").collect() };
        let pair = |text: &str| {
            let (name, number) = text.split_once(' ').unwrap();
            (name.trim_matches('`').to_owned(), number.parse::<f64>().unwrap())
        };
        let listed: Vec<_> = listed.into_iter().map(pair).collect();
        assert_eq!(metrics(&bytes(row[0].trim_matches('`'))), listed, "{}", row[0]);
    }
}

#[test]
fn the_table_of_quantities_in_the_docs_is_that_of_the_code() {
    let rows = rows(5);
    assert_eq!(rows.len(), Quantity::ALL.len());
    for (row, quantity) in rows.into_iter().zip(Quantity::ALL) {
        assert_eq!(row[0], format!("`{:02x}`", quantity as u8));
        assert_eq!(row[1], format!("`{quantity}`"));
        let (least, most) = quantity.range();
        let sign = if least < 0 { 'i' } else { 'u' };
        let bits = 8 * quantity.width();
        let whole = if least < 0 { (1_i64 << (bits - 1)) - 1 } else { (1 << bits) - 2 };
        let bound = if most < whole { format!(", up to {most}") } else { String::new() };
        assert_eq!(row[2], format!("{sign}{bits}{bound}"), "{quantity}");
        assert_eq!(row[3], (1.0 / f64::from(quantity.divisor())).to_string(), "{quantity}");
        let one = Reading { quantity, channel: Channel::FIRST, raw: Some(1) };
        let unit = found(&frame(&[one]))[0].3.clone();
        let unit = unit.or_else(|| codecs::unit_of(quantity.name()).map(Into::into));
        assert_eq!(row[4], unit.unwrap_or_else(|| "–".into()), "{quantity}");
    }
}

#[test]
fn a_value_is_the_number_that_its_digits_are() {
    for raw in [-32767_i64, -1, 1, 7, 29, 57, 1999, 2147, 32767] {
        let reading = Reading { quantity: Quantity::Temperature, channel: Channel::FIRST, raw: Some(raw) };
        let expected: f64 = format!("{raw}e-2").parse().unwrap();
        assert_eq!(metrics(&frame(&[reading])), named(&[("temperature", expected)]));
    }
}

#[test]
fn a_state_is_a_state_and_a_number_is_none() {
    let reading = |quantity| Reading { quantity, channel: Channel::FIRST, raw: Some(1) };
    let (out, _) = NODE.decode_bytes(&frame(&Quantity::ALL.map(reading)));
    let states: Vec<_> = out.iter().filter(|it| it.boolean).map(|it| it.metric.to_owned()).collect();
    assert_eq!(states, ["occupancy", "contact", "water_leak", "smoke"]);
}

#[test]
fn channels_are_told_apart_by_name() {
    let reading =
        |(quantity, number)| Reading { quantity, channel: Channel::new(number).unwrap(), raw: Some(1000) };
    let readings = [(Quantity::Voltage, 0), (Quantity::Voltage, 1), (Quantity::Voc, 7)].map(reading);
    let expected = [("voltage", 1.0, None), ("voltage_1", 1.0, None), ("voc_7", 1000.0, Some("ppb"))];
    let expected = expected.map(|(name, value, unit)| (name.to_owned(), value, None, unit.map(Into::into)));
    assert_eq!(found(&frame(&readings)), expected);
}

#[test]
fn what_stands_behind_an_age_was_measured_so_long_before_the_arrival() {
    let reading = |raw| Reading { quantity: Quantity::Co2, channel: Channel::FIRST, raw: Some(raw) };
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.put(reading(400)).unwrap();
    encoder.age(7200).unwrap().put(reading(500)).unwrap();
    encoder.age(3600).unwrap().put(reading(600)).unwrap();
    encoder.age(0).unwrap().put(reading(700)).unwrap();
    let times: Vec<_> = found(encoder.finish()).into_iter().map(|(_, value, at, _)| (value, at)).collect();
    assert_eq!(times, [(400.0, None), (500.0, Some(-7200)), (600.0, Some(-3600)), (700.0, Some(0))]);
}

#[test]
fn the_oldest_age_is_still_a_time() {
    let at = found(&bytes("0120ffffffff0c610000"))[0].2;
    assert_eq!(at, Some(-i64::from(u32::MAX)));
}

#[test]
fn the_last_of_two_equal_fields_of_one_time_counts() {
    assert_eq!(metrics(&bytes("010401f4040258")), named(&[("co2", 600.0)]));
}

#[test]
fn a_frame_is_taken_whole_or_not_at_all() {
    assert_eq!(refusal(b""), "it has no bytes");
    assert_eq!(refusal(b"21.5"), "its first byte says version 50, which is not known here");
    assert_eq!(refusal(&bytes("010402641f00")), "the tag 0x1f at byte 4 is not known here");
    assert_eq!(refusal(&bytes("010402640108")), "it ends within the field at byte 4");
    assert_eq!(refusal(&bytes("00c86500e0")), "the humidity at byte 2 is a number that it cannot be");
    assert_eq!(
        refusal(&bytes("535191")),
        "the byte 2 has bits that must not be set, or a count out of range"
    );
    assert_eq!(refusal(&bytes("0200010200")[..4]), "its checksum is wrong: it was changed or cut on the way");
    assert_eq!(refusal(&bytes("04010258")), "it has commands, which only a node takes");
}

#[test]
fn more_readings_than_a_payload_may_hold_are_refused() {
    let many = |count| [&[1][..], &[0x0b, 0].repeat(count)].concat();
    assert_eq!(metrics(&many(1000)).len(), 1);
    let (_, refused) = NODE.decode_bytes(&many(1001));
    assert_eq!(refused.unwrap_err().reason(), DropReason::TooManyReadings);
}

#[test]
fn for_people_it_is_a_list_of_what_the_sensors_gave() {
    let codec = Codec::by_name("node", &options(&[])).unwrap();
    let frame = bytes("0104ffff2000000e10210863");
    let data = codec.data(&NODE.input(&frame)).unwrap();
    let expected = serde_json::json!([
        {"metric": "co2", "value": null, "seconds_ago": 0},
        {"metric": "temperature_1", "value": 21.47, "seconds_ago": 3600},
    ]);
    assert_eq!(data, expected);
    assert!(codec.data(&NODE.input(&[2])).is_err());
}

fn batch(base: Base) -> Vec<u8> {
    let mut buffer = [0; 64];
    let tag = Tag { quantity: Quantity::Co2, channel: Channel::FIRST };
    let mut batch = BatchEncoder::new(&mut buffer, 77, base, &[tag]).unwrap();
    batch.push(0, &[Some(500)]).unwrap();
    batch.push(60, &[Some(510)]).unwrap();
    batch.finish().to_vec()
}

#[test]
fn the_records_of_a_batch_have_their_times_and_its_number_is_known() {
    let times =
        |frame: &[u8]| found(frame).into_iter().map(|(_, value, at, _)| (value, at)).collect::<Vec<_>>();
    assert_eq!(times(&batch(Base::Age(300))), [(500.0, Some(-300)), (510.0, Some(-240))]);
    let now = u32::try_from(ARRIVAL / 1000).unwrap();
    assert_eq!(times(&batch(Base::Time(now - 90))), [(500.0, Some(-90)), (510.0, Some(-30))]);
    let (out, _) = NODE.decode_bytes(&batch(Base::Age(0)));
    assert_eq!(out.node().sequence, Some(77));
    assert_eq!(out.node().seal, None);
}

#[test]
fn the_image_is_known() {
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.firmware("rp2040 0.1.0").unwrap();
    let (out, result) = NODE.decode_bytes(encoder.finish());
    result.unwrap();
    assert_eq!(out.node().firmware.as_deref(), Some("rp2040 0.1.0"));
    assert!(out.is_empty());
    let (out, _) = NODE.decode_bytes(&bytes("010c6100"));
    assert_eq!(*out.node(), codecs::NodeInfo::default(), "nothing is left of the frame before");
}

#[test]
fn a_device_with_a_key_is_believed_only_in_frames_sealed_with_it() {
    let digits = "0f".repeat(32);
    let codec = Codec::sealed_node(digits.parse().unwrap());
    let header = Header { node: NodeId([1; 8]), counter: 9 };
    let sealed = |key: u8, frame: &[u8]| {
        let mut buffer = [0; 128];
        let length = seal(&Key::new([key; 32]), header, frame, &mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    let mut out = codecs::Measurements::new();
    let frame = sealed(0x0f, &batch(Base::Age(300)));
    codec.decode(&NODE.input(&frame), &mut out).unwrap();
    assert_eq!(out.len(), 2);
    let seal = out.node().seal.unwrap();
    assert_eq!((seal.counter, out.node().sequence), (9, Some(77)));
    assert!(codec.data(&NODE.input(&frame)).unwrap().to_string().contains(r#"{"counter":9}"#));

    let mut refused = |payload: &[u8]| {
        let error = codec.decode(&NODE.input(payload), &mut out).unwrap_err();
        assert!(out.is_empty());
        assert_eq!(*out.node(), codecs::NodeInfo::default());
        (error.reason(), std::error::Error::source(&error).unwrap().to_string())
    };
    let forged = "it was changed on the way, or sealed with another key";
    assert_eq!(refused(&sealed(0x10, &batch(Base::Age(0)))), (DropReason::BadMic, forged.to_owned()));
    assert_eq!(refused(&bytes("010c6100")), (DropReason::BadPayload, "it is not a sealed frame".to_owned()));
    assert_eq!(refused(b"").0, DropReason::BadPayload);
    let twice = sealed(0x0f, &sealed(0x0f, &batch(Base::Age(0))));
    assert_eq!(refused(&twice).0, DropReason::BadPayload);
    assert_eq!(refusal(&frame), "it is sealed, and the device has no node_key_file");
    for no_key in ["", "0f", &"0g".repeat(32), &"0f".repeat(33)] {
        assert!(no_key.parse::<codecs::NodeKey>().is_err(), "{no_key}");
    }
}
