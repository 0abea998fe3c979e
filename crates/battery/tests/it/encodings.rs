//! The same measurement in each encoding: real frames, each read again by the gateway's own codec.

use battery::MAX_ADVERTISEMENT;
use codecs::ble::Uuid;
use codecs::ble::advertisement::Builder;
use codecs::{Codec, Input, Measurements, NodeKey, Options};
use gateway_core::Timestamp;
use serde_json::json;
use wire::sealed::{Header, Key, NodeId, seal};
use wire::{Base, BatchEncoder, Channel, Encoder, FixedBattery, FixedVoltage, Quantity, Reading, Tag};

/// 21.5 °C, 45.2 %, 97 %.
const RAW: [(Quantity, i64); 3] =
    [(Quantity::Temperature, 2_150), (Quantity::Humidity, 4_520), (Quantity::Battery, 97)];

/// What an hour in a room changes, in steps of 10 minutes.
const HOUR: [[i64; 3]; 6] = [
    [2_150, 4_520, 97],
    [2_161, 4_498, 97],
    [2_155, 4_530, 97],
    [2_138, 4_571, 97],
    [2_129, 4_604, 97],
    [2_144, 4_560, 97],
];

/// Any key: the length does not depend on it.
const KEY: [u8; 32] = [7; 32];

/// One way to write a report.
pub(crate) struct Encoding {
    pub(crate) name: &'static str,
    pub(crate) payload: Vec<u8>,
    /// The measurements in it, each of temperature, humidity and battery.
    pub(crate) records: u32,
    /// The data of a legacy advertisement that carries it, if one can.
    pub(crate) advertisement: Option<Vec<u8>>,
    /// Only for BLE.
    pub(crate) is_ble: bool,
    codec: &'static str,
}

impl Encoding {
    fn new(name: &'static str, codec: &'static str, payload: Vec<u8>) -> Self {
        let advertisement = in_advertisement(&payload);
        Self { name, payload, records: 1, advertisement, is_ble: false, codec }
    }
}

/// All of them, JSON first.
pub(crate) fn all() -> Vec<Encoding> {
    let mut all = vec![
        Encoding::new("JSON", "json", text(&json!({"temperature": 21.5, "humidity": 45.2, "battery": 97}))),
        Encoding::new(
            "SenML JSON",
            "senml",
            text(&json!([
                {"n": "temperature", "u": "Cel", "v": 21.5},
                {"n": "humidity", "u": "%RH", "v": 45.2},
                {"n": "battery", "u": "%EL", "v": 97},
            ])),
        ),
        Encoding::new("Cayenne LPP", "cayenne-lpp", cayenne_lpp()),
        Encoding::new("fields", "node", fields()),
        Encoding::new("fixed, 5 bytes", "node", fixed_voltage()),
        Encoding::new("fixed, 3 bytes", "node", fixed_battery()),
        Encoding { records: 6, ..Encoding::new("batch of 6", "node", batch()) },
        Encoding::new("fields, sealed", "node", sealed(&fields())),
        Encoding { records: 6, ..Encoding::new("batch of 6, sealed", "node", sealed(&batch())) },
    ];
    let objects = bthome();
    let data = advertisement(BTHOME, &objects);
    all.push(Encoding {
        advertisement: Some(data),
        is_ble: true,
        ..Encoding::new("BTHome v2", "bthome", objects)
    });
    all
}

fn text(value: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// Temperature in 0.1 °C, humidity in 0.5 %, percentage: types 103, 104 and 120 on channels 1 to 3.
fn cayenne_lpp() -> Vec<u8> {
    let [high, low] = 215_i16.to_be_bytes();
    vec![1, 103, high, low, 2, 104, 90, 3, 120, 97]
}

/// As node-core sends a single record: with its sequence number.
fn fields() -> Vec<u8> {
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer).unwrap();
    encoder.sequence(1_234).unwrap();
    for (quantity, raw) in RAW {
        encoder.put(Reading { quantity, channel: Channel::FIRST, raw: Some(raw) }).unwrap();
    }
    encoder.finish().to_vec()
}

fn fixed_voltage() -> Vec<u8> {
    FixedVoltage { tenths: 215, humidity: 45, centivolts: 330 }.encode().unwrap().to_vec()
}

fn fixed_battery() -> Vec<u8> {
    FixedBattery { half_degrees: 43, humidity: 45, battery: 97 }.encode().unwrap().to_vec()
}

fn batch() -> Vec<u8> {
    let mut buffer = [0; 128];
    let tags = RAW.map(|(quantity, _)| Tag { quantity, channel: Channel::FIRST });
    let mut batch = BatchEncoder::new(&mut buffer, 1_234, Base::Age(3_000), &tags).unwrap();
    for values in HOUR {
        batch.push(600, &values.map(Some)).unwrap();
    }
    batch.finish().to_vec()
}

fn sealed(frame: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 128];
    let header = Header { node: NodeId(*b"node-001"), counter: 1_234 };
    let length = seal(&Key::new(KEY), header, frame, &mut buffer).unwrap();
    buffer[..length].to_vec()
}

/// bthome.io/format: device information, packet id, battery, temperature and humidity in 0.01.
fn bthome() -> Vec<u8> {
    let [t0, t1] = 2_150_i16.to_le_bytes();
    let [h0, h1] = 4_520_u16.to_le_bytes();
    vec![0x40, 0x00, 9, 0x01, 97, 0x02, t0, t1, 0x03, h0, h1]
}

const BTHOME: u16 = 0xfcd2;

/// A 16-bit UUID of our own has the length of any.
const ANY: u16 = 0xfff0;

/// Flags, as a general discoverable device has them, and service data.
fn advertisement(uuid: u16, payload: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new();
    builder.service_data(Uuid::short(uuid), payload).unwrap();
    [&[2, 1, 6][..], &builder.build()].concat()
}

fn in_advertisement(payload: &[u8]) -> Option<Vec<u8>> {
    Some(advertisement(ANY, payload)).filter(|data| data.len() <= MAX_ADVERTISEMENT)
}

/// Names and values that the gateway reads from an encoding.
fn read(encoding: &Encoding) -> Vec<(String, f64)> {
    let codec = if encoding.name.ends_with("sealed") {
        let digits: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        Codec::sealed_node(digits.parse::<NodeKey>().unwrap())
    } else {
        Codec::by_name(encoding.codec, &Options::default()).unwrap()
    };
    let payload = if encoding.is_ble { encoding.advertisement.as_ref().unwrap() } else { &encoding.payload };
    let received_at = Timestamp::from_millis(1_795_168_800_000);
    let device = Some("a4c138000001");
    let input = Input { payload, topic: "", device, metric: None, port: None, received_at };
    let mut out = Measurements::new();
    codec.decode(&input, &mut out).unwrap_or_else(|error| panic!("{}: {error}", encoding.name));
    out.iter().map(|it| (it.metric.to_owned(), it.value)).collect()
}

#[test]
fn the_gateway_reads_the_same_measurement_from_each() {
    for encoding in all() {
        let read = read(&encoding);
        let records = usize::try_from(encoding.records).unwrap();
        let name = encoding.name;
        for (metric, value, within) in [("temperature", 21.5, 0.01), ("humidity", 45.2, 0.25)] {
            let values: Vec<_> =
                read.iter().filter(|(found, _)| found.starts_with(metric)).map(|(_, value)| *value).collect();
            assert_eq!(values.len(), records, "{name}: {read:?}");
            assert!((values[0] - value).abs() <= within, "{name}: {metric} {}", values[0]);
        }
        let energy = ["battery", "percentage", "voltage"];
        let last: Vec<_> =
            read.iter().filter(|(found, _)| energy.iter().any(|it| found.starts_with(it))).collect();
        assert_eq!(last.len(), records, "{name}: {read:?}");
        assert!([97.0, 3.3].contains(&last[0].1), "{name}: {last:?}");
    }
}

#[test]
fn only_short_encodings_fit_a_legacy_advertisement() {
    let fits: Vec<_> = all().into_iter().filter(|it| it.advertisement.is_some()).map(|it| it.name).collect();
    assert_eq!(fits, ["Cayenne LPP", "fields", "fixed, 5 bytes", "fixed, 3 bytes", "BTHome v2"]);
}
