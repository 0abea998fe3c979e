use serde_json::json;

use super::*;
use crate::{Codec, DecodeError, javascript};
use gateway_core::Timestamp;

fn input(payload: &[u8], port: Option<u8>) -> Input<'_> {
    Input { payload, topic: "", device: None, metric: None, port, received_at: Timestamp::EPOCH }
}

fn codec(text: &str) -> Codec {
    Codec::from_file("meter.toml", text, &javascript::Engine::default())
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn read(text: &str, payload: &[u8]) -> Vec<(String, f64)> {
    let mut out = Measurements::new();
    codec(text).decode(&input(payload, Some(1)), &mut out).unwrap();
    out.iter().map(|it| (it.metric.to_owned(), it.value)).collect()
}

fn problems(text: &str) -> Vec<String> {
    let problems = Codec::from_file("meter.toml", text, &javascript::Engine::default()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn fields_follow_each_other_and_are_scaled() {
    let text = r#"
        fields = [
          { name = "temperature", type = "i16be", scale = 0.1, unit = "Cel" },
          { name = "humidity", type = "u8", scale = 0.5 },
          { name = "pressure", type = "u16le", scale = 0.1, offset = 500 },
          { name = "first", type = "u8", at = 0 },
        ]"#;
    let mut out = Measurements::new();
    codec(text).decode(&input(&[0xff, 0x38, 81, 0x10, 0x27, 9, 9], None), &mut out).unwrap();
    let found: Vec<_> = out.iter().map(|it| (it.metric, it.value, it.unit)).collect();
    assert_eq!(
        found,
        [
            ("temperature", -20.0, Some("Cel")),
            ("humidity", 40.5, None),
            ("pressure", 1500.0, None),
            ("first", 255.0, None)
        ]
    );
}

/// Against the standard library's own reading of the bytes.
#[test]
fn every_type_reads_as_the_language_does() {
    let bytes: [u8; 8] = [0x81, 0x02, 0x83, 0x04, 0x85, 0x06, 0x87, 0x88];
    let [a, b, c, d, ..] = bytes;
    let three = |high: u8, mid: u8, low: u8| i32::from_be_bytes([high, mid, low, 0]) >> 8;
    for (name, value) in [
        ("bool", 1.0),
        ("u8", f64::from(a)),
        ("i8", f64::from(a.cast_signed())),
        ("u16be", f64::from(u16::from_be_bytes([a, b]))),
        ("u16le", f64::from(u16::from_le_bytes([a, b]))),
        ("i16be", f64::from(i16::from_be_bytes([a, b]))),
        ("i16le", f64::from(i16::from_le_bytes([a, b]))),
        ("u24be", f64::from(u32::from_be_bytes([0, a, b, c]))),
        ("u24le", f64::from(u32::from_le_bytes([a, b, c, 0]))),
        ("i24be", f64::from(three(a, b, c))),
        ("i24le", f64::from(three(c, b, a))),
        ("u32be", f64::from(u32::from_be_bytes([a, b, c, d]))),
        ("u32le", f64::from(u32::from_le_bytes([a, b, c, d]))),
        ("i32be", f64::from(i32::from_be_bytes([a, b, c, d]))),
        ("i32le", f64::from(i32::from_le_bytes([a, b, c, d]))),
        ("u64be", u64::from_be_bytes(bytes) as f64),
        ("u64le", u64::from_le_bytes(bytes) as f64),
        ("i64be", i64::from_be_bytes(bytes) as f64),
        ("i64le", i64::from_le_bytes(bytes) as f64),
        ("f32be", f64::from(f32::from_be_bytes([a, b, c, d]))),
        ("f32le", f64::from(f32::from_le_bytes([a, b, c, d]))),
        ("f64be", f64::from_be_bytes(bytes)),
        ("f64le", f64::from_le_bytes(bytes)),
    ] {
        let text = format!("fields = [{{ name = \"x\", type = \"{name}\" }}]");
        assert_eq!(read(&text, &bytes), [("x".to_owned(), value)], "{name}");
    }
    assert_eq!(Number::ALL.len(), 23, "each type has its line above");
}

#[test]
fn bits_are_counted_from_the_lowest_and_one_alone_is_a_state() {
    let text = r#"
        fields = [
          { name = "mode", type = "u8", bits = "4..7" },
          { name = "open", type = "u8", bits = 0, at = 0 },
          { name = "level", type = "i16be", bits = "5..9", scale = 2, at = 1 },
        ]"#;
    // 0b0000_0010_0010_0000: bits 5 to 9 are 1_0001, which is -15 with a sign.
    let payload = [0b1010_0001, 0b0000_0010, 0b0010_0000];
    assert_eq!(
        read(text, &payload),
        [("mode".to_owned(), 10.0), ("open".to_owned(), 1.0), ("level".to_owned(), -30.0)]
    );
    let data = codec(text).data(&input(&payload, None)).unwrap();
    assert_eq!(data, json!({"mode": 10.0, "open": true, "level": -30.0}));
    let all = "fields = [{ name = \"x\", type = \"u64be\", bits = \"0..63\" }]";
    assert_eq!(read(all, &[0xff; 8]), [("x".to_owned(), u64::MAX as f64)]);
}

#[test]
fn each_port_has_its_fields_and_the_others_have_those_at_the_top() {
    let text = r#"
        fields = [{ name = "a", type = "u8" }]
        [ports.2]
        fields = [{ name = "b", type = "u8" }]"#;
    let name = |port| {
        let mut out = Measurements::new();
        codec(text).decode(&input(&[1], port), &mut out).unwrap();
        out.iter().next().unwrap().metric.to_owned()
    };
    assert_eq!([name(Some(2)), name(Some(3)), name(None)], ["b", "a", "a"]);
    let only = codec("[ports.2]\nfields = [{ name = \"b\", type = \"u8\" }]");
    let refused = |port| only.decode(&input(&[1], port), &mut Measurements::new()).unwrap_err().to_string();
    assert_eq!(refused(Some(7)), "the codec has no fields for FPort 7");
    assert_eq!(refused(None), "the codec has no fields for a payload without FPort");
}

#[test]
fn a_payload_that_is_too_short_is_refused_whole() {
    let text = r#"fields = [{ name = "a", type = "u8" }, { name = "b", type = "u32be" }]"#;
    let mut out = Measurements::new();
    let error = codec(text).decode(&input(&[1, 2, 3, 4], None), &mut out).unwrap_err();
    assert!(matches!(&error, DecodeError::TooShort { needed: 5, found: 4, .. }));
    assert_eq!(error.to_string(), "the payload has 4 bytes; `b` ends at 5");
    assert!(out.is_empty());
}

#[test]
fn nan_is_left_out_and_counted() {
    let text = r#"fields = [{ name = "a", type = "f32be" }, { name = "b", type = "u8" }]"#;
    let mut out = Measurements::new();
    codec(text).decode(&input(&[0x7f, 0xc0, 0, 0, 3], None), &mut out).unwrap();
    assert_eq!((out.len(), out.not_finite()), (1, 1));
}

#[test]
fn every_problem_is_told_at_once_with_its_place_and_what_was_meant() {
    let text = r#"feilds = 1
fields = [
  { name = "a", type = "i16" },
  { nam = "b", type = "ui8" },
  { name = "c", type = "u8", scale = 0, bits = "5..8" },
  { name = "c", type = "u8", bits = 1, offset = 2 },
  { name = "", type = "f32be", bits = 1, at = -1, unit = 3 },
]
[ports.300]
fields = []
[ports.3]
fields = []
[ports.4]
"#;
    let found = problems(text);
    let expected = [
        "meter.toml:1:1: feilds: unknown key; did you mean \"fields\"? (allowed: fields, ports)",
        "meter.toml:3:24: fields[0].type: there is no type \"i16\"; say the order of its bytes: \"i16be\" or \"i16le\" (there are: bool,",
        "meter.toml:4:5: fields[1].nam: unknown key; did you mean \"name\"? (allowed: name, type, at, bits, scale, offset, unit)",
        "meter.toml:4:3: fields[1]: `name` is missing",
        "meter.toml:4:23: fields[1].type: there is no type \"ui8\"; did you mean \"u8\"?",
        "meter.toml:5:38: fields[2].scale: expected a number other than 0",
        "meter.toml:5:48: fields[2].bits: expected a bit from 0 to 7, or several as \"0..7\", the last included",
        "meter.toml:6:3: fields[3]: one bit is a state, 0 or 1, without `scale` and `offset`",
        "meter.toml:6:3: fields[3].name: `c` stands twice",
        "meter.toml:7:12: fields[4].name: expected a text of 1 to 128 bytes",
        "meter.toml:7:47: fields[4].at: expected a byte's number, counted from 0",
        "meter.toml:7:58: fields[4].unit: expected a text such as \"Cel\"",
        "meter.toml:7:39: fields[4].bits: only whole numbers have bits to pick",
        "meter.toml:9:8: ports.300: an FPort is a whole number from 1 to 255",
        "meter.toml:12:10: ports.3.fields: 0 fields; 1 to 256 are taken",
        "meter.toml:13:8: ports.4: `fields` is missing",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "\n{found}\n{expected}");
    }
}

#[test]
fn what_is_not_toml_or_says_nothing_is_told_with_its_place() {
    assert!(problems("fields = [")[0].starts_with("meter.toml:1:"), "{:?}", problems("fields = ["));
    assert_eq!(problems(""), ["meter.toml:1:1: a codec needs `fields`, or `[ports.<FPort>]` with `fields`"]);
    assert_eq!(
        problems("fields = 3"),
        ["meter.toml:1:10: fields: expected a list, [{ name = …, type = … }, …]"]
    );
}
