//! `gatt`, and its table in docs/formats.md: what the examples measure, and which bytes measure nothing.

use codecs::{Codec, gatt};
use gateway_core::DropReason;

use crate::formats::support::{Message, options};

const DOCS: &str = include_str!("../../../../../docs/formats.md");

/// The cells of the section's table.
fn rows() -> Vec<Vec<&'static str>> {
    let section = DOCS.split("\n## gatt\n").nth(1).unwrap();
    let row = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    section.lines().filter(|line| line.starts_with("| `2")).map(row).collect()
}

/// Metric, value, unit.
fn read(uuid: &str, value: &[u8]) -> Vec<(String, f64, Option<String>)> {
    let message = Message { codec: "gatt", topic: uuid, ..Message::default() };
    let (out, result) = message.decode_bytes(value);
    result.unwrap_or_else(|error| panic!("{uuid}: {error}"));
    let unit = |unit: Option<&str>, metric: &str| unit.or_else(|| codecs::unit_of(metric)).map(Into::into);
    out.iter().map(|it| (it.metric.to_owned(), it.value, unit(it.unit, it.metric))).collect()
}

fn refusal(uuid: &str, value: &[u8]) -> String {
    let message = Message { codec: "gatt", topic: uuid, ..Message::default() };
    let (out, result) = message.decode_bytes(value);
    assert!(out.is_empty(), "a refused value leaves nothing behind");
    let error = result.unwrap_err();
    assert_eq!(error.reason(), DropReason::BadPayload);
    error.to_string()
}

fn quoted(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_example_in_the_docs_measures_what_stands_beside_it() {
    let rows = rows();
    assert_eq!(rows.len(), 47, "characteristics");
    for row in rows {
        let unit = row[4].split(['(', ')']).nth(1).unwrap();
        let expected: f64 = row[6].rsplit(' ').next().unwrap().parse().unwrap();
        let expected = (quoted(row[4]).to_owned(), expected, (unit != "–").then(|| unit.to_owned()));
        assert_eq!(read(quoted(row[0]), &bytes(quoted(row[6]))), [expected], "{}", row[1]);
    }
}

#[test]
fn what_the_docs_call_none_measures_nothing_and_is_no_error() {
    let mut seen = 0;
    for row in rows() {
        let patterns = match row[5] {
            "–" => continue,
            // The five special values of ISO/IEEE 11073-20601.
            "NaN, NRes, ±∞" => "07ff, 0800, 07fe, 0802, 0801",
            listed => listed,
        };
        for pattern in patterns.split(", ") {
            let mut value = bytes(pattern);
            value.reverse();
            assert_eq!(read(quoted(row[0]), &value), [], "{} {pattern}", row[1]);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn the_type_in_the_docs_is_how_many_bytes_are_taken() {
    for row in rows() {
        let bits: usize = row[2].trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        for wrong in [0, bits / 8 - 1, bits / 8 + 1, 20] {
            let expected = format!("its value has {wrong} bytes; the specification says {}", bits / 8);
            assert!(refusal(quoted(row[0]), &vec![0; wrong]).ends_with(&expected), "{}", row[1]);
        }
    }
}

#[test]
fn the_highest_and_the_lowest_value_that_is_allowed_are_read() {
    for (uuid, value, expected) in [
        ("2a6e", "4d95", -273.15),
        ("2a6e", "ff7f", 327.67),
        ("2a6f", "1027", 100.0),
        ("2a6f", "0000", 0.0),
        ("2a19", "64", 100.0),
        ("2a71", "9f8c", 359.99),
        ("2a6c", "000080", -83_886.08),
        ("2a6d", "ffffffff", 4_294_967.295),
        ("2b0d", "80", -64.0),
        ("2b0d", "7e", 63.0),
        ("2b8c", "feff", 65_534.0),
        ("2bdf", "defd", -273.0),
    ] {
        assert_eq!(read(uuid, &bytes(value))[0].1, expected, "{uuid} {value}");
    }
}

#[test]
fn what_the_specification_prohibits_is_refused() {
    for (uuid, value) in [
        ("2a6e", "4c95"),
        ("2a6f", "1127"),
        ("2a19", "65"),
        ("2a19", "ff"),
        ("2a71", "a08c"),
        ("2bdf", "ddfd"),
    ] {
        let said = refusal(uuid, &bytes(value));
        assert!(said.ends_with("the specification prohibits or reserves"), "{uuid} {value}: {said}");
    }
}

#[test]
fn a_short_float_is_mantissa_times_ten_to_the_exponent() {
    // Methane, in ppb: its unit is not scaled.
    for (value, expected) in
        [("0000", 0.0), ("d207", 2002.0), ("d2f7", 200.2), ("fe8f", -2e-8), ("ff77", 20_470_000_000.0)]
    {
        assert_eq!(read("2bd1", &bytes(value))[0].1, expected, "{value}");
    }
    // 2047 with an exponent is a number; NaN has none.
    assert_eq!(read("2bd1", &bytes("ff07")), []);
}

#[test]
fn a_uuid_is_known_in_all_its_spellings() {
    let expected = [("temperature".to_owned(), 21.47, Some("Cel".to_owned()))];
    for uuid in
        ["2a6e", "2A6E", "00002a6e-0000-1000-8000-00805f9b34fb", "00002A6E-0000-1000-8000-00805F9B34FB"]
    {
        assert_eq!(read(uuid, &bytes("6308")), expected);
        assert!(gatt::reads(uuid));
    }
    for uuid in [
        "",
        "2a00",
        "+a6e",
        "2a6",
        "2a6e0",
        "00012a6e-0000-1000-8000-00805f9b34fb",
        "é",
        "2a6e/x",
        "2a6e/1234",
    ] {
        assert!(refusal(uuid, &bytes("6308")).contains("the codec gatt does not read it"), "{uuid}");
        assert!(!gatt::reads(uuid) || uuid.contains('/'), "{uuid}");
    }
}

#[test]
fn the_second_of_its_kind_in_a_device_has_a_name_of_its_own() {
    let second = [("temperature_2".to_owned(), 21.47, Some("Cel".to_owned()))];
    assert_eq!(read("2a6e/2", &bytes("6308")), second);
    let first = read("2a6e/1", &bytes("6308"));
    assert_eq!(first[0].0, "temperature");
    let volatile = [("voc_3".to_owned(), 5.0, Some("ppb".to_owned()))];
    assert_eq!(read("2be7/3", &[5, 0]), volatile);
}

#[test]
fn for_people_what_is_not_known_is_null() {
    let codec = Codec::by_name("gatt", &options(&[])).unwrap();
    let message = Message { topic: "2a6f", ..Message::default() };
    let data = |value: &[u8]| codec.data(&message.input(value)).unwrap();
    assert_eq!(data(&[0xd7, 0x11]), serde_json::json!({ "humidity": 45.67 }));
    assert_eq!(data(&[0xff, 0xff]), serde_json::json!({ "humidity": null }));
}
