//! One payload through one codec, in few words.

use codecs::{Codec, DecodeError, Input, Measurements, Options};
use gateway_core::Timestamp;
use jiff::tz::TimeZone;

/// 2026-11-20T10:00:00Z.
pub(crate) const ARRIVAL: i64 = 1_795_168_800_000;

/// What a test looks at; the rest is as usual.
#[derive(Clone, Copy, Default)]
pub(crate) struct Message<'a> {
    pub(crate) codec: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) device: Option<&'a str>,
    pub(crate) metric: Option<&'a str>,
    pub(crate) columns: &'a [&'a str],
}

/// One measurement, owned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) device: Option<String>,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) at: Option<i64>,
    pub(crate) unit: Option<String>,
}

pub(crate) fn options(columns: &[&str]) -> Options {
    Options {
        columns: columns.iter().map(ToString::to_string).collect(),
        timezone: TimeZone::get("Europe/Paris").unwrap(),
    }
}

impl Message<'_> {
    pub(crate) fn decode_bytes(&self, payload: &[u8]) -> (Measurements, Result<(), DecodeError>) {
        let codec = Codec::by_name(self.codec, &options(self.columns)).unwrap();
        let mut out = Measurements::new();
        let result = codec.decode(&self.input(payload), &mut out);
        (out, result)
    }

    pub(crate) fn input<'a>(&'a self, payload: &'a [u8]) -> Input<'a> {
        Input {
            payload,
            topic: self.topic,
            device: self.device,
            metric: self.metric,
            port: None,
            received_at: Timestamp::from_millis(ARRIVAL),
        }
    }

    pub(crate) fn found(&self) -> Vec<Found> {
        let (out, result) = self.decode_bytes(self.payload.as_bytes());
        result.unwrap_or_else(|error| panic!("{}: {error}", self.payload));
        out.iter()
            .map(|it| Found {
                device: it.device.map(Into::into),
                metric: it.metric.into(),
                value: it.value,
                at: it.at.map(Timestamp::as_millis),
                unit: it.unit.map(Into::into),
            })
            .collect()
    }

    /// As [`Self::metrics`], of a network server's message from a device that has this codec of its own; and what is
    /// wrong with it.
    pub(crate) fn metrics_with(&self, own: &Codec) -> (Vec<(String, f64)>, Result<(), DecodeError>) {
        let server = Codec::by_name(self.codec, &options(&[])).unwrap();
        let envelope = server.open(self.payload.as_bytes()).unwrap().unwrap();
        let mut out = Measurements::new();
        let result = envelope.measure(Some(own), &self.input(self.payload.as_bytes()), &mut out);
        let mut metrics: Vec<_> = out.iter().map(|it| (it.metric.to_owned(), it.value)).collect();
        metrics.sort_by(|a, b| a.0.cmp(&b.0));
        (metrics, result)
    }

    /// Names and values, by name.
    pub(crate) fn metrics(&self) -> Vec<(String, f64)> {
        let mut metrics: Vec<_> = self.found().into_iter().map(|it| (it.metric, it.value)).collect();
        metrics.sort_by(|a, b| a.0.cmp(&b.0));
        metrics
    }

    pub(crate) fn error(&self) -> DecodeError {
        let (out, result) = self.decode_bytes(self.payload.as_bytes());
        assert!(out.is_empty(), "a refused payload leaves nothing behind");
        result.expect_err(self.payload)
    }

    pub(crate) fn data(&self) -> serde_json::Value {
        let codec = Codec::by_name(self.codec, &options(self.columns)).unwrap();
        codec.data(&self.input(self.payload.as_bytes())).unwrap()
    }
}

/// Literals as [`Message::metrics`] gives them.
pub(crate) fn named(metrics: &[(&str, f64)]) -> Vec<(String, f64)> {
    let mut metrics: Vec<_> = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    metrics.sort_by(|a, b| a.0.cmp(&b.0));
    metrics
}
