//! What must hold for a codec, whatever the bytes: no panic, no endless work, and measurements within their bounds.

use codecs::ble::{Ble, Keys};
use codecs::{Codec, Input, MAX_NAME_BYTES, MAX_READINGS, Measurements, Options};
use gateway_core::Timestamp;

/// The largest MQTT packet in bytes that the gateway's clients take; its broker takes less.
pub const LARGEST_PACKET: usize = 1 << 20;

/// The text that `data` begins with: all of it where it is UTF-8.
#[must_use]
pub fn text(data: &[u8]) -> &str {
    let end = std::str::from_utf8(data).map_or_else(|error| error.valid_up_to(), str::len);
    std::str::from_utf8(&data[..end]).expect("valid up to there")
}

/// Runs one codec on `data`: its first line is the topic, the rest the payload.
///
/// # Panics
/// Where a promise is broken: that is what the fuzzer looks for.
pub fn decode(name: &str, data: &[u8]) {
    let columns = ["device", "time", "temperature", "_", "humidity"].map(String::from).to_vec();
    let codec =
        Codec::by_name(name, &Options { columns, ..Options::default() }).expect("a codec of this crate");
    let (topic, payload) = split_topic(data);
    run(&codec, topic, payload);
}

/// Reads a struct codec's file, and where it is one, runs it on the payload behind the file's NUL.
///
/// # Panics
/// Where a promise is broken.
pub fn decode_by_file(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (file, payload) = data.split_at(end);
    let Ok(file) = std::str::from_utf8(file) else { return };
    match Codec::from_file("fuzz.toml", file, &codecs::javascript::Engine::default()) {
        Ok(codec) => run(&codec, "", payload.get(1..).unwrap_or_default()),
        Err(problems) => assert!(!problems.is_empty(), "a file that is refused says why"),
    }
}

/// Runs the codec `node` on `data` behind its first line, on the batch that `data` is with a right checksum, and on both sealed; and the codec of a device
/// with a key on all of them.
///
/// # Panics
/// Where a promise is broken.
pub fn decode_node(data: &[u8]) {
    let (_, data) = split_topic(data);
    let plain = Codec::by_name("node", &Options::default()).expect("a codec of this crate");
    let sealed = Codec::sealed_node("07".repeat(32).parse().expect("a key"));
    let batch = [&[wire::BATCH], data].concat();
    let batch = [&batch[..], &crc16(&batch).to_be_bytes()].concat();
    for frame in [data, &batch] {
        let mut buffer = vec![0; frame.len() + wire::sealed::OVERHEAD];
        let header = wire::sealed::Header { node: wire::sealed::NodeId([1; 8]), counter: 1 };
        let key = wire::sealed::Key::new([7; 32]);
        wire::sealed::seal(&key, header, frame, &mut buffer).expect("the buffer is long enough");
        for codec in [&plain, &sealed] {
            run(codec, "", frame);
            run(codec, "", &buffer);
        }
    }
}

/// CRC-16/CCITT-FALSE, as in a batch.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

fn run(codec: &Codec, topic: &str, payload: &[u8]) {
    let mut out = Measurements::new();
    let sides = [(None, None, None), (Some("device"), None, Some(2)), (None, Some("metric"), Some(3))];
    for (device, metric, port) in sides {
        let received_at = Timestamp::from_millis(1_795_168_800_000);
        let input = Input { payload, topic, device, metric, port, received_at };
        let decoded = codec.decode(&input, &mut out);
        check(&out, decoded.is_ok());
        let _ = codec.data(&input);
    }
}

/// Runs a network server's format on `data` as [`decode`] does, and once more for a device with a codec of its own.
///
/// # Panics
/// Where a promise is broken.
pub fn open(name: &str, data: &[u8]) {
    decode(name, data);
    let server = Codec::by_name(name, &Options::default()).expect("a codec of this crate");
    let own = Codec::by_name("cayenne-lpp", &Options::default()).expect("a codec of this crate");
    let (topic, payload) = split_topic(data);
    let Some(Ok(envelope)) = server.open(payload) else { return };
    let received_at = Timestamp::from_millis(1_795_168_800_000);
    let input = Input { payload, topic, device: None, metric: None, port: None, received_at };
    let mut out = Measurements::new();
    // What the radio says is there even where the payload is refused.
    let _ = envelope.measure(Some(&own), &input, &mut out);
    check(&out, true);
    assert!(out.iter().all(|it| envelope.at.is_none() || it.at.is_some()), "a time for all of them");
}

/// Runs the codec of advertisements on `data`: three of one device in a row, each up to a NUL NUL NUL, once with the
/// device's key and once without.
///
/// # Panics
/// Where a promise is broken.
pub fn advertisement(data: &[u8]) {
    const ADDRESS: &str = "A4:C1:38:0A:0B:0C";
    let mut keys = Keys::new();
    let key = "00112233445566778899aabbccddeeff".parse().expect("a key");
    keys.insert(ADDRESS.parse().expect("an address"), key);
    for (codec, device) in [
        (Codec::ble(Ble::new(keys)), Some(ADDRESS)),
        (Codec::ble(Ble::new(Keys::new())), Some(ADDRESS)),
        (Codec::ble(Ble::alone(Keys::new())), None),
    ] {
        let mut out = Measurements::new();
        let mut rest = data;
        for second in 0..3 {
            let end = rest.windows(3).position(|part| part == [0; 3]).unwrap_or(rest.len());
            let (payload, behind) = rest.split_at(end);
            rest = behind.get(3..).unwrap_or_default();
            let received_at = Timestamp::from_millis(1_795_168_800_000 + 1000 * second);
            let input = Input { payload, topic: "", device, metric: None, port: None, received_at };
            let decoded = codec.decode(&input, &mut out);
            check(&out, decoded.is_ok());
            let _ = codec.explain(&input, None, &mut out);
        }
    }
}

fn split_topic(data: &[u8]) -> (&str, &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return ("", data) };
    let (topic, payload) = data.split_at(end);
    match std::str::from_utf8(topic) {
        Ok(topic) => (topic, &payload[1..]),
        Err(_) => ("", data),
    }
}

fn check(out: &Measurements, decoded: bool) {
    assert!(decoded || out.is_empty(), "a refused payload leaves nothing");
    assert!(out.len() <= MAX_READINGS);
    for measurement in out.iter() {
        assert!(measurement.value.is_finite(), "{measurement:?}");
        assert!((1..=MAX_NAME_BYTES).contains(&measurement.metric.len()), "{measurement:?}");
    }
}
