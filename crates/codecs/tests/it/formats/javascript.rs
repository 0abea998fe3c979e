//! The results of JavaScript codecs through the public API: names, units and errors.

use codecs::javascript::Engine;
use codecs::{Codec, Explained, Input, Measurements};
use gateway_core::{DropReason, Timestamp};
use serde_json::json;

use crate::formats::support::ARRIVAL;

const INPUT: Input<'_> = Input {
    payload: &[1, 2],
    topic: "",
    device: Some("a84041ffff123456"),
    metric: None,
    port: Some(2),
    received_at: Timestamp::from_millis(ARRIVAL),
};

fn codec(source: &str) -> Codec {
    Codec::from_file("codec.js", source, &Engine::default()).unwrap()
}

/// Metric, value, unit and the codec's own name of each measurement of `data`.
fn read(data: &str) -> Vec<(String, f64, Option<String>, Option<String>)> {
    let mut out = Measurements::new();
    codec(&format!("function decodeUplink(input) {{ return {{ data: {data} }} }}"))
        .decode(&INPUT, &mut out)
        .unwrap();
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    out.iter().map(|it| (it.metric.to_owned(), it.value, owned(it.unit), owned(it.said))).collect()
}

fn names(data: &str) -> Vec<(String, f64)> {
    read(data).into_iter().map(|(name, value, ..)| (name, value)).collect()
}

fn named(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn nested_names_are_joined_and_what_is_no_number_makes_no_metric() {
    assert_eq!(
        names("{ a: { b: { c: 1.5 } }, on: true, off: false, text: '7', none: null, list: [1, { x: 2 }] }"),
        named(&[("a.b.c", 1.5), ("off", 0.0), ("on", 1.0)])
    );
    assert_eq!(names("[1, 2]"), named(&[]), "a list makes none");
    assert_eq!(names("5"), named(&[("value", 5.0)]), "a number alone has no name");
}

#[test]
fn vendors_names_become_ours_with_our_units_and_theirs_are_kept_beside() {
    let found = read("{ TempC_SHT: 21.5, BatV: 3.1, other: 1 }");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [
            ("voltage".to_owned(), 3.1, text("V"), text("BatV")),
            ("temperature".to_owned(), 21.5, text("Cel"), text("TempC_SHT")),
            ("other".to_owned(), 1.0, None, None),
        ]
    );
    assert_eq!(
        names(
            "{ air: { temperature: 21.5 }, battery_voltage: { value: 3.1, unit: 'V' }, odd: { value: 2 } }"
        ),
        named(&[("temperature", 21.5), ("voltage", 3.1), ("odd.value", 2.0)])
    );
}

#[test]
fn a_name_that_the_message_has_already_stays_with_who_has_it() {
    assert_eq!(
        names("{ Temp: 1, temperature: 2, temp: 3 }"),
        named(&[("Temp", 1.0), ("temp", 3.0), ("temperature", 2.0)])
    );
    assert_eq!(
        names("{ Temp: 1, temp: 3 }"),
        named(&[("temperature", 1.0), ("temp", 3.0)]),
        "the first has it"
    );
}

#[test]
fn normalize_uplink_adds_what_the_data_does_not_say_in_our_names() {
    let source = "function decodeUplink() { return { data: { t: 21.5, Hum_SHT: 40 } } }
        function normalizeUplink(input) {
          return { data: { air: { temperature: input.data.t, relativeHumidity: 41 }, battery: 3.6, strange: 1 } };
        }";
    let mut out = Measurements::new();
    codec(source).decode(&INPUT, &mut out).unwrap();
    let found: Vec<_> = out.iter().map(|it| (it.metric.to_owned(), it.value)).collect();
    assert_eq!(found, named(&[("humidity", 40.0), ("t", 21.5), ("temperature", 21.5), ("voltage", 3.6)]));
    let several =
        source.replace("return { data: {", "return { data: [{}, {").replace("strange: 1 }", "strange: 1 }]");
    let several = several.replacen("[{}, {", "{", 1);
    codec(&several).decode(&INPUT, &mut out).unwrap();
    assert_eq!(out.len(), 2, "several measurements have times and places of their own");
}

#[test]
fn a_refused_payload_leaves_nothing_and_is_a_bad_payload() {
    let mut out = Measurements::new();
    let error = codec("function decodeUplink() { return { data: { a: 1 }, errors: ['no'] } }")
        .decode(&INPUT, &mut out);
    let error = error.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.reason()), ("the codec says: no", DropReason::BadPayload));
    assert!(out.is_empty());
}

#[test]
fn explain_tells_data_errors_and_warnings_as_the_codec_gave_them() {
    let codec = codec(
        "function decodeUplink(input) { return { data: { a: 1, at: input.recvTime }, errors: ['no', 'never'], warnings: ['w'] } }",
    );
    let mut out = Measurements::new();
    let Explained { data, errors, warnings, .. } =
        codec.explain(&INPUT, Some("2026-11-20T11:00:00+01:00"), &mut out);
    assert_eq!(data, json!({"a": 1, "at": "2026-11-20T11:00:00+01:00"}));
    assert_eq!((errors, warnings), (vec!["no".to_owned(), "never".to_owned()], vec!["w".to_owned()]));
    assert!(out.is_empty());
    let explained = codec.explain(&INPUT, None, &mut out);
    assert_eq!(explained.data["at"], "2026-11-20T10:00:00.000Z", "else the arrival");
}

#[test]
fn explain_tells_of_built_ins_what_data_and_decode_do() {
    let lpp = Codec::by_name("cayenne-lpp", &codecs::Options::default()).unwrap();
    let mut out = Measurements::new();
    let explained = lpp.explain(&Input { payload: &[1, 103, 0, 215], ..INPUT }, None, &mut out);
    assert_eq!((explained.data, explained.errors, out.len()), (json!({"temperature_1": 21.5}), vec![], 1));
    let explained = lpp.explain(&Input { payload: &[1, 103, 0], ..INPUT }, None, &mut out);
    assert_eq!(explained.errors, ["Cayenne LPP, at byte 0: the frame ends within a value"]);
    assert_eq!((explained.data, out.len()), (json!(null), 0));
}

#[test]
fn a_file_that_is_no_codec_is_told_with_file_line_and_column() {
    let load =
        |file: &str, text: &str| Codec::from_file(file, text, &Engine::default()).unwrap_err()[0].to_string();
    assert_eq!(
        load("codecs/am307.js", "function decodeUplink(input) {\n  retrun { data: 1 }\n}"),
        "codecs/am307.js:2:10: SyntaxError: expecting ';'"
    );
    assert_eq!(
        load("codecs/x.js", "var x = 1"),
        "codecs/x.js: there is no `decodeUplink(input)` in it, nor `Decoder(bytes, port)` or `Decode(fPort, bytes, variables)`"
    );
    assert_eq!(load("codecs/x.lua", ""), "codecs/x.lua: a codec's file ends in .js or .toml");
    assert!(Codec::is_file("codecs/am307.js") && Codec::is_file("m.toml"));
    assert!(!Codec::is_file("json") && !Codec::is_file(".js") && !Codec::is_file("cayenne-lpp"));
}

#[test]
fn the_docs_table_of_fields_and_script_are_codecs() {
    let docs = include_str!("../../../../../docs/codecs.md");
    let fenced = |kind: &str, holds: &str| {
        let mut blocks = docs.split(kind).skip(1).map(|it| it.split("```").next().unwrap());
        blocks.find(|it| it.contains(holds)).unwrap()
    };
    let engine = Engine::default();
    let table = Codec::from_file("meter.toml", fenced("```toml", "fields ="), &engine).unwrap();
    let mut out = Measurements::new();
    let payload = [0, 215, 81, 0x10, 0x27, 0, 0, 0x31];
    table.decode(&Input { payload: &payload, port: Some(1), ..INPUT }, &mut out).unwrap();
    let found: Vec<_> = out.iter().map(|it| (it.metric.to_owned(), it.value)).collect();
    assert_eq!(found[..3], named(&[("temperature", 21.5), ("humidity", 40.5), ("energy", 10.0)]));
    let script = Codec::from_file("am307.js", fenced("```js", "function decodeUplink"), &engine).unwrap();
    script.decode(&Input { payload: &[43], ..INPUT }, &mut out).unwrap();
    assert_eq!(out.iter().next().unwrap().value, 21.5);
    assert_eq!(script.encode(&json!({"led": true}), "").unwrap().bytes, [1]);
}
