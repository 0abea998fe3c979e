use codecs::{Codec, CodecError, CsvProblem, DecodeError};
use serde_json::json;

use crate::formats::support::{Message, named, options};

const COLUMNS: &[&str] = &["device", "time", "temperature", "_", "humidity"];

fn csv(payload: &str) -> Message<'_> {
    Message { codec: "csv", payload, columns: COLUMNS, ..Message::default() }
}

#[test]
fn each_line_has_its_device_and_time() {
    let found = csv("n1,1795168800,21.5,x,40\r\n\nn2,2026-11-20 11:00:01,22,y,\n").found();
    let lines: Vec<_> =
        found.iter().map(|it| (it.device.as_deref().unwrap(), it.metric.as_str(), it.value, it.at)).collect();
    assert_eq!(
        lines,
        [
            ("n1", "temperature", 21.5, Some(1_795_168_800_000)),
            ("n1", "humidity", 40.0, Some(1_795_168_800_000)),
            ("n2", "temperature", 22.0, Some(1_795_168_801_000)),
        ]
    );
}

#[test]
fn cells_may_be_quoted_padded_empty_or_words() {
    assert_eq!(csv("\"n,1\", ,\" 21.5 \",,ON").metrics(), named(&[("temperature", 21.5), ("humidity", 1.0)]));
    assert_eq!(csv("\"n,1\",,1,,").found()[0].device.as_deref(), Some("n,1"));
    assert_eq!(csv(",,1,,").found()[0].device, None, "it is of its sender");
}

#[test]
fn a_header_is_passed_over() {
    assert_eq!(csv("device,time,temperature,_,humidity\nn1,,1,,2").found().len(), 2);
}

#[test]
fn a_line_that_does_not_fit_is_named() {
    let error = csv("n1,,1,,2\nn1,,1,2").error();
    let problem = CsvProblem::Cells { found: 4, expected: 5 };
    assert!(matches!(error, DecodeError::Csv { line: 2, problem: it } if it == problem), "{error}");
    let error = csv("n1,,warm,,2").error();
    assert_eq!(error.to_string(), "line 1: cell 3 is not a number; name the column `_` to ignore it");
    assert!(matches!(csv("n1,noon,1,,2").error(), DecodeError::BadTime { record: 1 }));
}

#[test]
fn cells_that_are_not_finite_are_counted() {
    let (out, result) = csv("").decode_bytes(b"n1,,nan,,40\nn1,,inf,,41");
    result.unwrap();
    assert_eq!((out.len(), out.not_finite()), (2, 2));
}

#[test]
fn columns_that_cannot_work_are_refused_when_the_codec_is_made() {
    let make = |columns: &[&str]| Codec::by_name("csv", &options(columns)).unwrap_err();
    assert_eq!(make(&[]), CodecError::NoColumns);
    assert_eq!(make(&["a", "a"]).to_string(), "`columns` names `a` twice");
    assert_eq!(make(&["a", "time", "ts"]).to_string(), "`columns` names more than one time");
    assert_eq!(make(&["device", "time"]).to_string(), "`columns` names no metric");
    assert!(Codec::by_name("csv", &options(&["_", "a", "_"])).is_ok());
}

#[test]
fn an_unknown_codec_is_told_what_there_is() {
    let error = Codec::by_name("jsn", &options(&[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no codec `jsn`; there are value, json, cbor, cayenne-lpp, senml, zigbee2mqtt, tasmota, shelly, csv, node, ttn, chirpstack, ble, gatt"
    );
    for name in Codec::NAMES {
        assert_eq!(Codec::by_name(name, &options(&["a"])).unwrap().name(), *name);
    }
}

#[test]
fn data_is_the_lines_by_column() {
    let expected = json!([{"device":"n1","time":"","temperature":"1","_":"x","humidity":"2"}]);
    assert_eq!(csv("n1,,1,x,2").data(), expected);
}
