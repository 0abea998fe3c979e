//! Posts, read back by other hands than those that wrote them.

use std::num::NonZeroUsize;

use gateway_core::Timestamp;
use serde_json::{Value as Json, json};

use super::*;
use crate::{Building, Fault};

const NOON: Timestamp = Timestamp::from_millis(1_795_176_000_000);

/// What the first five devices post at noon.
fn posts(building: &mut Building) -> Vec<Post> {
    let post = |device| {
        let (name, sample) = building.sample(device, NOON).unwrap();
        Post::new(device, name, &sample)
    };
    (0..5).map(post).collect()
}

fn building() -> Building {
    Building::new(NonZeroUsize::new(5).unwrap(), 1)
}

/// CBOR as JSON: numbers for labels become text, as JSON has no other.
fn read(payload: &[u8]) -> Json {
    let item: Cbor = ciborium::from_reader(payload).unwrap();
    as_json(&item)
}

fn as_json(item: &Cbor) -> Json {
    match item {
        Cbor::Float(number) => json!(number),
        Cbor::Integer(number) => json!(i64::try_from(*number).unwrap()),
        Cbor::Text(text) => json!(text),
        Cbor::Bool(boolean) => json!(boolean),
        Cbor::Array(items) => items.iter().map(as_json).collect(),
        Cbor::Map(members) => {
            let key = |key: &Cbor| match key {
                Cbor::Integer(label) => i64::try_from(*label).unwrap().to_string(),
                other => other.as_text().unwrap().to_owned(),
            };
            members.iter().map(|(name, value)| (key(name), as_json(value))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn five_devices_use_every_format_and_say_the_same_in_each() {
    let posts = posts(&mut building());
    let formats = posts.iter().map(|post| post.request.content_format.unwrap().0);
    assert_eq!(formats.collect::<Vec<_>>(), [50, 110, 112, 60, 0]);
    assert_eq!(posts.iter().map(|post| post.readings).collect::<Vec<_>>(), [3, 3, 3, 3, 1]);

    let json: Json = serde_json::from_slice(&posts[0].request.payload).unwrap();
    let senml: Json = serde_json::from_slice(&posts[1].request.payload).unwrap();
    let packed = read(&posts[2].request.payload);
    let map = read(&posts[3].request.payload);
    let text = std::str::from_utf8(&posts[4].request.payload).unwrap();

    for (place, metric) in ["temperature", "humidity", "co2"].into_iter().enumerate() {
        let near = |value: &Json| assert!(value.as_f64().unwrap() > 10.0, "{metric}: {value}");
        near(&json[metric]);
        near(&map[metric]);
        near(&senml[place]["v"]);
        near(&packed[place]["2"]);
        assert_eq!((&senml[place]["n"], &packed[place]["0"]), (&json!(metric), &json!(metric)));
        assert_eq!(senml[place]["u"], packed[place]["1"]);
    }
    assert_eq!((&senml[0]["bn"], &packed[0]["-2"]), (&json!("kitchen-0002/"), &json!("office-0003/")));
    assert_eq!(senml[0]["u"], "Cel");
    assert!(text.parse::<f64>().is_ok(), "{text}");
}

#[test]
fn the_path_names_the_device_and_for_a_bare_number_the_metric() {
    let posts = posts(&mut building());
    assert_eq!(posts[0].request.path, ["sensors", "lounge-0001"]);
    assert_eq!(posts[3].request.path, ["sensors", "meeting-room-0004"]);
    assert_eq!(posts[4].request.path[..2], ["sensors", "hall-0005"]);
    assert!(["temperature", "humidity", "co2"].contains(&&*posts[4].request.path[2]));
    assert!(posts.iter().all(|post| post.request.method == Method::Post && post.request.confirmable));
}

#[test]
fn a_wrong_clock_is_in_every_format_with_a_time() {
    let mut building = building();
    (0..4).for_each(|device| building.fail(device, Fault::WrongClock, NOON));
    let posts = posts(&mut building);
    let json: Json = serde_json::from_slice(&posts[0].request.payload).unwrap();
    let time: Timestamp = json["time"].as_str().unwrap().parse().unwrap();
    let seconds = json!(time.as_millis() / 1000);
    assert_ne!(time, NOON);
    let senml: Json = serde_json::from_slice(&posts[1].request.payload).unwrap();
    assert_eq!(senml[0]["bt"], seconds);
    assert_eq!(read(&posts[2].request.payload)[0]["-3"], seconds);
    assert_eq!(read(&posts[3].request.payload)["time"], json["time"]);
}

#[test]
fn a_bad_payload_cannot_be_read_and_counts_as_one_reading() {
    let mut building = building();
    (0..4).for_each(|device| building.fail(device, Fault::BadPayload, NOON));
    let posts = posts(&mut building);
    assert!(posts[..4].iter().all(|post| post.readings == 1));
    assert!(serde_json::from_slice::<Json>(&posts[0].request.payload).is_err());
    assert!(serde_json::from_slice::<Json>(&posts[1].request.payload).is_err());
    assert!(ciborium::from_reader::<Cbor, _>(&*posts[2].request.payload).is_err());
    assert!(ciborium::from_reader::<Cbor, _>(&*posts[3].request.payload).is_err());
}
