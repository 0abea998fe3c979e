use gateway_core::DropReason;
use serde_json::json;

use crate::formats::support::{ARRIVAL, Message, named};

const NOW: i64 = ARRIVAL / 1000;

fn senml(payload: &str) -> Message<'_> {
    Message { codec: "senml", payload, ..Message::default() }
}

#[test]
fn base_fields_hold_until_they_are_set_again() {
    let pack = r#"[{"bn":"dev1:","bt":1700000000,"bu":"Cel","bv":20,"n":"a","v":1.5,"t":10},
        {"n":"b","v":2,"u":"%RH"},{"bn":"dev2:","bv":0,"n":"a","v":3}]"#;
    assert_eq!(
        senml(pack).data(),
        json!([
            {"n":"dev1:b","u":"%RH","t":1_700_000_000,"v":22},
            {"n":"dev2:a","u":"Cel","t":1_700_000_000,"v":3},
            {"n":"dev1:a","u":"Cel","t":1_700_000_010,"v":21.5},
        ]),
        "in chronological order"
    );
    let found = senml(pack).found();
    assert_eq!(found[0].device.as_deref(), Some("dev1"));
    assert_eq!(found[0].unit.as_deref(), Some("Cel"));
    assert_eq!(found[0].at, Some(1_700_000_010_000));
    assert_eq!(found[2].device.as_deref(), Some("dev2"));
}

#[test]
fn times_below_two_to_the_28_are_relative_to_the_arrival() {
    let pack = r#"[{"n":"a","v":1,"t":-5},{"n":"a","v":2},{"n":"a","v":3,"t":268435456},{"bt":-100,"n":"a","v":4,"t":40}]"#;
    let times: Vec<_> = senml(pack).found().iter().map(|it| it.at).collect();
    assert_eq!(times, [Some(ARRIVAL - 5000), None, Some(268_435_456_000), Some(ARRIVAL - 60_000)]);
    assert_eq!(senml(r#"[{"n":"a","v":2}]"#).data(), json!([{"n":"a","t":NOW,"v":2}]));
}

#[test]
fn the_links_device_drops_the_base_name() {
    let message = |payload| Message { device: Some("sensor01"), ..senml(payload) };
    let found = message(r#"[{"bn":"urn:dev:ow:1:","n":"temp","v":1},{"v":2}]"#).found();
    assert_eq!(found[0].metric, "temp");
    assert_eq!(found[1].metric, "value");
    assert!(found.iter().all(|it| it.device.is_none()));
    assert_eq!(message(r#"[{"v":2}]"#).metrics(), named(&[("value", 2.0)]), "without any name too");
}

#[test]
fn without_a_device_of_the_link_the_name_tells_it() {
    let found = senml(r#"[{"n":"urn:dev:mac:0024befffe804ff1/temp","v":1},{"n":"lone","v":2}]"#).found();
    assert_eq!(found[0].device.as_deref(), Some("urn:dev:mac:0024befffe804ff1"));
    assert_eq!(found[0].metric, "temp");
    assert_eq!((found[1].device.as_deref(), found[1].metric.as_str()), (None, "lone"));
}

#[test]
fn booleans_and_sums_measure_and_texts_and_data_do_not() {
    let pack = r#"[{"n":"on","vb":true},{"n":"off","vb":false},{"n":"name","vs":"x"},{"n":"blob","vd":"aGk"},
        {"n":"power","u":"W","v":5,"s":100},{"bs":7,"n":"flow","s":1}]"#;
    assert_eq!(
        senml(pack).metrics(),
        named(&[("on", 1.0), ("off", 0.0), ("power", 5.0), ("power.sum", 100.0), ("flow.sum", 8.0)])
    );
}

#[test]
fn a_record_of_base_fields_alone_measures_nothing() {
    assert_eq!(senml(r#"[{"bn":"a:","bver":10},{"n":"b","v":1}]"#).metrics(), named(&[("b", 1.0)]));
}

#[test]
fn rules_of_the_rfc_that_are_broken_refuse_the_pack() {
    for pack in [
        r#"{"n":"a","v":1}"#,
        r#"[1]"#,
        r#"[{"v":1}]"#,
        r#"[{}]"#,
        r#"[{"n":"a"}]"#,
        r#"[{"n":"a b","v":1}]"#,
        r#"[{"n":"-a","v":1}]"#,
        r#"[{"n":"a","v":1,"vb":true}]"#,
        r#"[{"n":"a","v":"1"}]"#,
        r#"[{"n":"a","v":null}]"#,
        r#"[{"n":"a","vb":1}]"#,
        r#"[{"n":"a","vd":"a b"}]"#,
        r#"[{"n":1,"v":1}]"#,
        r#"[{"n":"a","v":1,"x_":1}]"#,
        r#"[{"bver":11,"n":"a","v":1}]"#,
        r#"[{"bver":26.5,"n":"a","v":1}]"#,
        r#"[{"bver":42,"n":"a","v":1}]"#,
        r#"[{"bver":58,"n":"a","v":1}]"#,
        r#"[{"bver":9,"n":"a","v":1},{"bver":10,"n":"a","v":1}]"#,
        r#"[{"n":"a","v":1},{"bver":9,"n":"a","v":1}]"#,
        r#"[{"bver":0,"n":"a","v":1}]"#,
        r#"[{"bver":"10","n":"a","v":1}]"#,
        r#"[{"bn":"a b:"},{"n":"a","v":1}]"#,
        r#"[{"bv":"1","n":"a"}]"#,
        r#"[{"n":"a","v":1,"t":"0"}]"#,
        r#"[{"n":"a","v":1},[]]"#,
        r#"[{"n":"a","v":1}]]"#,
        r#"[{"n":"a","v":1,"t":1700000000000}]"#,
        r#"[{"n":"a","v":1"#,
    ] {
        assert_eq!(senml(pack).error().reason(), DropReason::BadPayload, "{pack}");
    }
    assert_eq!(senml(r#"[{"n":"a","v":1e400}]"#).error().reason(), DropReason::NotFinite);
    let error = senml(r#"[{"n":"a","v":1},{"n":"b"}]"#).error();
    assert_eq!(error.to_string(), "SenML record 2: has neither a value nor a sum");
}

#[test]
fn a_base_value_or_sum_alone_is_the_value_and_texts_take_none() {
    let pack = r#"[{"bn":"m:","bv":20,"bs":5,"n":"a"},{"n":"b","vs":"on","s":2},{"bn":"k:","bs":0,"bv":-1,"n":"c","v":1e1}]"#;
    assert_eq!(
        senml(pack).data(),
        json!([
            {"n":"m:a","t":NOW,"v":20,"s":5},
            {"n":"m:b","t":NOW,"vs":"on","s":7},
            {"n":"k:c","t":NOW,"v":9,"s":0},
        ])
    );
}

#[test]
fn a_pack_that_declares_secondary_units_is_read() {
    let pack = r#"[{"bver":26,"n":"a","u":"hPa","v":1013},{"n":"b","u":"kWh","v":2}]"#;
    assert_eq!(senml(pack).metrics(), named(&[("a", 1013.0), ("b", 2.0)]));
    assert!(senml(pack).data().as_array().unwrap().iter().all(|record| record["bver"] == 26));
}

#[test]
fn a_version_below_the_default_holds_for_the_whole_pack_and_is_told() {
    let pack = r#"[{"bver":5,"n":"a","v":1},{"n":"b","v":2},{"bver":5,"n":"c","v":3}]"#;
    let records = senml(pack).data();
    assert!(records.as_array().unwrap().iter().all(|record| record["bver"] == 5), "{records}");
    assert_eq!(senml(r#"[{"bver":10,"n":"a","v":1}]"#).data(), json!([{"n":"a","t":NOW,"v":1}]));
}

#[test]
fn labels_that_need_not_be_understood_are_passed_over() {
    let pack = r#"[{"n":"a","v":1,"ut":60,"vendor":{"deep":[1]}}]"#;
    assert_eq!(senml(pack).data(), json!([{"n":"a","t":NOW,"v":1,"ut":60}]));
}

#[test]
fn cbor_resolves_to_the_same_records() {
    // [{-2: "dev:", -3: 1700000000, 0: "a", 1: "Cel", 2: 4([-1, 215])}, {0: "b", 4: true, 6: -1}, {0: "c", 8: h'0102fb'}]
    let pack = b"\x83\xa5\x21\x64dev:\x22\x1a\x65\x53\xf1\x00\x00\x61a\x01\x63Cel\x02\xc4\x82\x20\x18\xd7\
        \xa3\x00\x61b\x04\xf5\x06\x20\xa2\x00\x61c\x08\x43\x01\x02\xfb";
    let message = senml("");
    let codec = codecs::Codec::by_name("senml", &codecs::Options::default()).unwrap();
    assert_eq!(
        codec.data(&message.input(pack)).unwrap(),
        json!([
            {"n":"dev:b","t":1_699_999_999,"vb":true},
            {"n":"dev:a","u":"Cel","t":1_700_000_000,"v":21.5},
            {"n":"dev:c","t":1_700_000_000,"vd":"AQL7"},
        ])
    );
    assert!(message.decode_bytes(b"\xa1\x00\x61a").1.is_err(), "a map is no pack");
    assert!(message.decode_bytes(b"\x81\xa2\x00\x61a\x63x__").1.is_err());
}

#[test]
fn cbor_is_read_in_every_encoding_of_the_same_pack() {
    let record = json!([{"n":"a","t":NOW,"v":1.5}]);
    for pack in [
        &b"\x81\xa2\x00\x61a\x02\xf9\x3e\x00"[..],            // half float
        b"\x81\xa2\x00\x61a\x02\xfa\x3f\xc0\x00\x00",         // single float
        b"\x9f\xbf\x00\x7f\x61a\xff\x02\xf9\x3e\x00\xff\xff", // indefinite lengths
        b"\x81\xa2\x18\x00\x61a\x19\x00\x02\xc5\x82\x20\x03", // long integers, a big float
        b"\x81\xa2\x61n\x61a\x61v\xf9\x3e\x00",               // text labels
        b"\x81\xa3\x00\x61a\x02\xf9\x3e\x00\x18\x63\x80",     // an unknown number as a label
        b"\xd9\xd9\xf7\x81\xa2\x00\x61a\x02\xf9\x3e\x00",     // self-described (RFC 8949, 3.4.6)
    ] {
        let codec = codecs::Codec::by_name("senml", &codecs::Options::default()).unwrap();
        assert_eq!(codec.data(&senml("").input(pack)).unwrap(), record, "{pack:x?}");
    }
}

#[test]
fn cbor_that_breaks_a_rule_is_refused() {
    for pack in [
        &b""[..],
        b"\x81\xa2\x00\x61a\x02",             // cut off
        b"\x81\xa1\x00\x61a",                 // no value
        b"\x81\xa1\x02\x01",                  // no name
        b"\x81\xa2\x00\x61a\x02\x611",        // text where a number belongs
        b"\x81\xa2\x00\x61a\x02\xf6",         // null
        b"\x81\xa3\x00\x61a\x02\x01\x04\xf5", // two values
        b"\x81\xa3\x00\x61a\x02\x01\x02\x02", // the same twice
        b"\x81\xa2\x00\x61a\x08\x61a",        // text where bytes belong
        b"\x81\xa3\x20\x0b\x00\x61a\x02\x01", // version 11
        b"\x81\xa2\x00\x63a b\x02\x01",       // a space in the name
        b"\x81\xa2\x00\x61a\x02\x01\x00",     // something behind the end
        b"\x82\xa2\x00\x61a\x02\x01\x80",     // an array as a record
    ] {
        assert!(senml("").decode_bytes(pack).1.is_err(), "{pack:x?}");
    }
}

#[test]
fn cbor_values_that_are_not_finite_are_counted() {
    let (out, result) = senml("").decode_bytes(b"\x82\xa2\x00\x61a\x02\xf9\x7e\x00\xa2\x00\x61b\x02\x01");
    result.unwrap();
    assert_eq!((out.len(), out.not_finite()), (1, 1));
}

#[test]
fn a_long_base_field_cannot_be_multiplied_by_many_records() {
    let long = "a".repeat(300);
    for field in ["bn", "bu", "n", "u"] {
        let pack = format!(r#"[{{"n":"a","{field}":"{long}","v":1}}]"#);
        assert_eq!(senml(&pack).error().reason(), DropReason::BadPayload, "{field}");
    }
}
