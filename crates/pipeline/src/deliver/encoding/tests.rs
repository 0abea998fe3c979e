use codecs::javascript::Engine;
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
    let encoder = Encoder { codec, by_server };
    Downlink { device: "hall".to_owned(), port, confirmed: true, object, encoder }
}

fn to(port: u8, content: DownlinkContent) -> Destination {
    Destination::Device { device: "hall".to_owned(), port, confirmed: true, content }
}

#[test]
fn the_codec_says_bytes_and_port_and_the_users_port_counts_more() {
    let encode = |by_server, port, object| downlink(Some(LED), by_server, port, object).encode();
    let on = json!({ "led": true, "port": 7 });
    for by_server in [false, true] {
        let told = encode(by_server, None, on.clone()).unwrap();
        assert_eq!(told, (to(7, DownlinkContent::Bytes), Bytes::from_static(&[1])));
    }
    assert_eq!(encode(false, Some(9), on).unwrap().0, to(9, DownlinkContent::Bytes));
    assert!(matches!(encode(false, None, json!({ "led": true })), Err(EncodeError::NoPort)));
    let wrong = encode(true, None, json!({ "led": 1, "port": 224 }));
    assert!(matches!(wrong, Err(EncodeError::Port { port: 224 })));
}

#[test]
fn what_the_codec_refuses_fails_with_its_words_also_where_a_server_could_be_asked() {
    for by_server in [false, true] {
        let error = downlink(Some(LED), by_server, Some(1), json!({ "lamp": 1 })).encode().unwrap_err();
        assert_eq!(gateway_core::chain(&error), "the codec says: no led");
    }
}

#[test]
fn without_an_encoder_of_ours_a_network_server_gets_the_object() {
    let object = json!({ "led": 1 });
    for codec in [None, Some(MUTE)] {
        let told = downlink(codec, true, Some(3), object.clone()).encode().unwrap();
        assert_eq!(told, (to(3, DownlinkContent::Object), Bytes::from(object.to_string())));
        let portless = downlink(codec, true, None, object.clone()).encode();
        assert!(matches!(portless, Err(EncodeError::NoPort)));
        let error = downlink(codec, false, Some(3), object.clone()).encode().unwrap_err();
        assert_eq!(error.to_string(), "the codec has no `encodeDownlink(input)`");
    }
}

#[test]
fn an_encoder_that_loops_fails_its_commands_and_not_the_devices_uplinks() {
    let looping = downlink(Some(LED), false, Some(1), json!({ "loop": true }));
    for _ in 0..4 {
        assert!(looping.encode().is_err());
    }
    let mut measured = codecs::Measurements::default();
    let codec = looping.encoder.codec.unwrap();
    let input = codecs::Input { payload: &[7], device: Some("hall"), ..input() };
    codec.decode(&input, &mut measured).unwrap();
}

const fn input<'a>() -> codecs::Input<'a> {
    codecs::Input {
        payload: &[],
        topic: "",
        device: None,
        metric: None,
        port: None,
        received_at: gateway_core::Timestamp::EPOCH,
    }
}

#[tokio::test]
async fn commands_leave_in_the_order_in_which_they_came_and_too_many_are_refused() {
    let desk = Desk::default();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut taken = 0_u8;
    for number in 0..=u8::try_from(WAITING).unwrap() {
        let downlink = Arc::new(downlink(Some(LED), false, Some(number + 1), json!({ "led": 1 })));
        let tell = tell.clone();
        taken += u8::from(desk.take(&downlink, move |encoded| tell.send(encoded).unwrap()));
    }
    assert_eq!(usize::from(taken), WAITING, "nobody has worked yet");
    for number in 0..taken {
        let (destination, _) = told.recv().await.unwrap().unwrap();
        assert_eq!(destination, to(number + 1, DownlinkContent::Bytes));
    }
}
