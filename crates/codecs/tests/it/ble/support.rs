//! One advertisement, in few words.

use codecs::ble::advertisement::Builder;
use codecs::ble::{Ble, BleProblem, Keys, Uuid};
use codecs::{Codec, DecodeError, Input, Measurements};
use gateway_core::Timestamp;

pub(crate) const ADDRESS: &str = "A4:C1:38:0A:0B:0C";
/// 2026-11-20T10:00:00Z.
const ARRIVAL: i64 = 1_795_168_800_000;

/// What a device sends; the rest is as usual.
#[derive(Default)]
pub(crate) struct Beacon<'a> {
    pub(crate) name: &'a str,
    /// Service by its 16 bits, data in hexadecimal (spaces are ignored).
    pub(crate) service: Vec<(u16, &'a str)>,
    /// Company, data in hexadecimal.
    pub(crate) maker: Vec<(u16, &'a str)>,
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Beacon<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut builder = Builder::new();
        if !self.name.is_empty() {
            builder.name(self.name).unwrap();
        }
        for (uuid, data) in &self.service {
            builder.service_data(Uuid::short(*uuid), &hex(data)).unwrap();
        }
        for (company, data) in &self.maker {
            builder.manufacturer_data(*company, &hex(data)).unwrap();
        }
        builder.build()
    }

    /// Names and values, by name, of a new decoder.
    pub(crate) fn metrics(&self) -> Vec<(String, f64)> {
        Listener::new(Keys::new()).hear(self, 0).unwrap()
    }

    pub(crate) fn problem(&self) -> BleProblem {
        Listener::new(Keys::new()).hear(self, 0).unwrap_err()
    }

    pub(crate) fn data(&self) -> serde_json::Value {
        Codec::by_name("ble", &codecs::Options::default())
            .unwrap()
            .data(&input(&self.bytes(), ADDRESS, 0))
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn measures(&self, expected: &[(&str, f64)]) {
        assert_eq!(self.metrics(), named(expected));
    }
}

pub(crate) fn input<'a>(payload: &'a [u8], address: &'a str, second: i64) -> Input<'a> {
    let received_at = Timestamp::from_millis(ARRIVAL + 1000 * second);
    Input { payload, topic: "", device: Some(address), metric: None, port: None, received_at }
}

pub(crate) fn named(metrics: &[(&str, f64)]) -> Vec<(String, f64)> {
    let mut metrics: Vec<_> = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    metrics.sort_by(|a, b| a.0.cmp(&b.0));
    metrics
}

/// A decoder that remembers.
pub(crate) struct Listener(Codec);

impl Listener {
    pub(crate) fn new(keys: Keys) -> Self {
        Self(Codec::ble(Ble::new(keys)))
    }

    pub(crate) fn with_key(key: &str) -> Self {
        let mut keys = Keys::new();
        keys.insert(ADDRESS.parse().unwrap(), key.parse().unwrap());
        Self::new(keys)
    }

    pub(crate) fn hear(&self, beacon: &Beacon<'_>, second: i64) -> Result<Vec<(String, f64)>, BleProblem> {
        let mut out = Measurements::new();
        let decoded = self.0.decode(&input(&beacon.bytes(), ADDRESS, second), &mut out);
        if let Err(DecodeError::Ble { problem, .. }) = decoded {
            assert!(out.is_empty(), "what is refused leaves nothing behind");
            return Err(problem);
        }
        decoded.unwrap();
        let mut metrics: Vec<_> = out.iter().map(|it| (it.metric.to_owned(), it.value)).collect();
        metrics.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(metrics)
    }
}
