use serde_json::json;

use super::*;

const LED: &str = "
function decodeUplink(input) { return { data: { level: input.bytes[0] } }; }
function encodeDownlink(input) {
  if (input.data.loop) while (true) {}
  if (input.data.led === undefined) return { errors: ['no led'] };
  return { bytes: [input.data.led ? 1 : 0], fPort: input.data.port };
}";
const MUTE: &str = "function decodeUplink(input) { return { data: {} }; }";

fn downlink(codec: Option<&str>, by_server: bool, port: Option<u8>, object: Value) -> Downlink {
    let codec = codec.map(|text| Arc::new(Codec::from_file("a.js", text, &Engine::default()).unwrap()));
    Downlink { device: "hall".to_owned(), port, confirmed: true, object, codec, by_server, wrap: Target::new }
}

fn to(port: u8, content: DownlinkContent) -> DownlinkTarget {
    DownlinkTarget { device: "hall".to_owned(), port, confirmed: true, content }
}

fn encoded(downlink: &Downlink) -> Result<(DownlinkTarget, Bytes), EncodeError> {
    let (target, bytes) = downlink.encode()?;
    Ok((target.get::<DownlinkTarget>().unwrap().clone(), bytes))
}

#[test]
fn the_codec_says_bytes_and_port_and_the_users_port_counts_more() {
    let encode = |by_server, port, object| encoded(&downlink(Some(LED), by_server, port, object));
    let on = json!({ "led": true, "port": 7 });
    for by_server in [false, true] {
        let made = encode(by_server, None, on.clone()).unwrap();
        assert_eq!(made, (to(7, DownlinkContent::Bytes), Bytes::from_static(&[1])));
    }
    assert_eq!(encode(false, Some(9), on).unwrap().0, to(9, DownlinkContent::Bytes));
    assert!(matches!(encode(false, None, json!({ "led": true })), Err(EncodeError::NoPort)));
    let wrong = encode(true, None, json!({ "led": 1, "port": 224 }));
    assert!(matches!(wrong, Err(EncodeError::Port { port: 224 })));
}

#[test]
fn what_the_codec_refuses_fails_with_its_words_also_where_a_server_could_be_asked() {
    for by_server in [false, true] {
        let error = encoded(&downlink(Some(LED), by_server, Some(1), json!({ "lamp": 1 }))).unwrap_err();
        assert_eq!(gateway_core::chain(&error), "the codec says: no led");
    }
}

#[test]
fn without_an_encoder_of_ours_a_network_server_gets_the_object() {
    let object = json!({ "led": 1 });
    for codec in [None, Some(MUTE)] {
        let made = encoded(&downlink(codec, true, Some(3), object.clone())).unwrap();
        assert_eq!(made, (to(3, DownlinkContent::Object), Bytes::from(object.to_string())));
        let portless = encoded(&downlink(codec, true, None, object.clone()));
        assert!(matches!(portless, Err(EncodeError::NoPort)));
        let error = encoded(&downlink(codec, false, Some(3), object.clone())).unwrap_err();
        assert_eq!(error.to_string(), "the codec has no `encodeDownlink(input)`");
    }
}

#[test]
fn a_payload_is_the_bytes_of_its_digits_or_an_object_and_nothing_else() {
    assert_eq!(content("hex:0aFF"), Some(Content::Bytes(vec![0x0a, 0xff])));
    assert_eq!(content("hex:"), Some(Content::Bytes(Vec::new())));
    let object = Map::from_iter([("led".to_owned(), true.into())]);
    assert_eq!(content("{\"led\":true}"), Some(Content::Object(object)));
    for wrong in ["0aff", "hex:0af", "hex:0g", "on", "[1]", "{\"led\"", ""] {
        assert_eq!(content(wrong), None, "{wrong}");
    }
}

#[test]
fn an_encoder_that_loops_fails_its_commands_and_not_the_devices_uplinks() {
    let looping = downlink(Some(LED), false, Some(1), json!({ "loop": true }));
    for _ in 0..4 {
        assert!(looping.encode().is_err());
    }
    let mut measured = codecs::Measurements::default();
    let input = codecs::Input {
        payload: &[7],
        topic: "",
        device: Some("hall"),
        metric: None,
        port: None,
        received_at: gateway_core::Timestamp::EPOCH,
    };
    looping.codec.unwrap().decode(&input, &mut measured).unwrap();
}
