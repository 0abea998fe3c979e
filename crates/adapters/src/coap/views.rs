//! The newest values of a device, or one of them, in the content format that a client asks for.

use std::hash::BuildHasher;
use std::time::Duration;

use coap_link::{ContentFormat, ETag, Response};
use foldhash::fast::FixedState;
use read_model::{Device, Series};
use serde_json::{Value as Json, json};

/// How long an answer is fresh (Max-Age).
const FRESH: Duration = Duration::from_secs(60);

/// The same seed at every start, so that a client's ETag stays valid after a restart.
const TAGS: FixedState = FixedState::with_seed(0x5249_5345_5220_636f);

/// The available formats; the first is the default of a device, the last that of a metric.
pub(super) const FORMATS: [ContentFormat; 5] = [
    ContentFormat::JSON,
    ContentFormat::CBOR,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::TEXT,
];

/// A representation: all values of a device or one metric, in a format.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// `None` for all metrics.
    pub(super) metric: Option<Box<str>>,
    pub(super) format: ContentFormat,
}

impl View {
    /// `None` if the format is not available.
    pub(super) fn new(metric: Option<&str>, accept: Option<ContentFormat>) -> Option<Self> {
        let default = if metric.is_some() { ContentFormat::TEXT } else { ContentFormat::JSON };
        let format = accept.unwrap_or(default);
        let known = FORMATS.contains(&format) && (metric.is_some() || format != ContentFormat::TEXT);
        known.then(|| Self { metric: metric.map(Into::into), format })
    }

    /// 2.05 with the values of `device`; `None` if there are none.
    pub(super) fn of(&self, device: &Device) -> Option<Response> {
        let one = match &self.metric {
            Some(metric) => Some(device.get(metric)?),
            None => None,
        };
        let all: &[Series] = one.map_or(device.series(), std::slice::from_ref);
        if all.is_empty() {
            return None;
        }
        let payload = match (self.format, one) {
            (ContentFormat::TEXT, Some(series)) => number(series.value).into_bytes(),
            (ContentFormat::JSON, Some(series)) => json!(series.value).to_string().into_bytes(),
            (ContentFormat::CBOR, Some(series)) => {
                let mut cbor = Cbor::default();
                cbor.float(series.value);
                cbor.0
            }
            (ContentFormat::CBOR, None) => cbor_object(all),
            (ContentFormat::SENML_JSON, _) => senml_json(&device.name, all),
            (ContentFormat::SENML_CBOR, _) => senml_cbor(&device.name, all),
            _ => json_object(all),
        };
        let tag = ETag::new(&TAGS.hash_one((self.format, &payload)).to_be_bytes());
        let response = Response::content(self.format, payload).with_max_age(FRESH);
        Some(Response { etag: tag, ..response })
    }
}

/// A number as a short text.
fn number(value: f64) -> String {
    let plain = value == 0.0 || (1e-6..1e15).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

fn json_object(all: &[Series]) -> Vec<u8> {
    let object: serde_json::Map<String, Json> =
        all.iter().map(|series| (series.name.to_string(), json!(series.value))).collect();
    Json::Object(object).to_string().into_bytes()
}

/// The device's name as a base name: SenML allows few characters (RFC 8428, 4.5.1).
fn base_name(device: &str) -> String {
    format!("{}/", senml_name(device))
}

fn senml_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-:./_".contains(c);
    name.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

fn seconds(series: &Series) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any year near ours are exact in an f64")]
    let millis = series.at.as_millis() as f64;
    millis / 1000.0
}

fn senml_json(device: &str, all: &[Series]) -> Vec<u8> {
    let record = |(index, series): (usize, &Series)| {
        let mut record = json!({ "n": senml_name(&series.name), "v": series.value, "t": seconds(series) });
        if let (Some(unit), Some(record)) = (&series.unit, record.as_object_mut()) {
            record.insert("u".to_owned(), json!(**unit));
        }
        if let (0, Some(record)) = (index, record.as_object_mut()) {
            record.insert("bn".to_owned(), json!(base_name(device)));
        }
        record
    };
    Json::Array(all.iter().enumerate().map(record).collect()).to_string().into_bytes()
}

/// RFC 8428, 6: labels are numbers.
fn senml_cbor(device: &str, all: &[Series]) -> Vec<u8> {
    const BASE_NAME: i8 = -2;
    const NAME: i8 = 0;
    const UNIT: i8 = 1;
    const VALUE: i8 = 2;
    const TIME: i8 = 6;
    let mut cbor = Cbor::default();
    cbor.array(all.len());
    for (index, series) in all.iter().enumerate() {
        cbor.map(3 + usize::from(index == 0) + usize::from(series.unit.is_some()));
        if index == 0 {
            cbor.label(BASE_NAME);
            cbor.text(&base_name(device));
        }
        cbor.label(NAME);
        cbor.text(&senml_name(&series.name));
        if let Some(unit) = &series.unit {
            cbor.label(UNIT);
            cbor.text(unit);
        }
        cbor.label(VALUE);
        cbor.float(series.value);
        cbor.label(TIME);
        cbor.float(seconds(series));
    }
    cbor.0
}

fn cbor_object(all: &[Series]) -> Vec<u8> {
    let mut cbor = Cbor::default();
    cbor.map(all.len());
    for series in all {
        cbor.text(&series.name);
        cbor.float(series.value);
    }
    cbor.0
}

/// Writes CBOR (RFC 8949): the few kinds of items that are needed here.
#[derive(Default)]
struct Cbor(Vec<u8>);

impl Cbor {
    fn head(&mut self, major: u8, argument: usize) {
        let major = major << 5;
        if let Ok(small) = u8::try_from(argument) {
            if small < 24 {
                self.0.push(major | small);
            } else {
                self.0.extend([major | 24, small]);
            }
        } else {
            self.0.push(major | 26);
            self.0.extend(u32::try_from(argument).unwrap_or(u32::MAX).to_be_bytes());
        }
    }

    fn map(&mut self, members: usize) {
        self.head(5, members);
    }

    fn array(&mut self, items: usize) {
        self.head(4, items);
    }

    fn text(&mut self, text: &str) {
        self.head(3, text.len());
        self.0.extend(text.as_bytes());
    }

    fn label(&mut self, label: i8) {
        let negative = u8::from(label < 0);
        let argument = if label < 0 { -1 - label } else { label };
        self.head(negative, usize::from(argument.unsigned_abs()));
    }

    fn float(&mut self, value: f64) {
        self.0.push(0xfb);
        self.0.extend(value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gateway_core::{DeviceId, MetricId, MetricKind, Timestamp};
    use read_model::{Description, ReadModel, SeriesDescription};

    use super::*;

    /// A device with a temperature and a door.
    fn device(name: &str) -> Arc<Device> {
        let model = ReadModel::default();
        let mut writer = model.write();
        writer.add_device(Description { name: name.into(), zone: None, protocol: None });
        let at = Timestamp::from_millis(1_795_132_800_500);
        for (metric, value, unit) in [("temperature", 21.5, Some("Cel")), ("door", 1.0, None)] {
            let series = || SeriesDescription {
                name: metric.into(),
                unit: unit.map(Into::into),
                kind: MetricKind::Gauge,
            };
            writer.value(DeviceId(0), MetricId(u32::from(unit.is_none())), value, at, series);
        }
        drop(writer);
        model.device(name).unwrap()
    }

    fn payload(metric: Option<&str>, accept: Option<u16>) -> Vec<u8> {
        let view = View::new(metric, accept.map(ContentFormat)).unwrap();
        view.of(&device("the lounge")).unwrap().payload.to_vec()
    }

    #[test]
    fn a_metric_is_a_text_and_a_device_an_object_unless_asked_otherwise() {
        assert_eq!(payload(Some("temperature"), None), b"21.5");
        assert_eq!(payload(Some("door"), Some(50)), b"1.0");
        assert_eq!(payload(None, None), br#"{"door":1.0,"temperature":21.5}"#);
        assert_eq!(payload(Some("door"), Some(60)), b"\xfb\x3f\xf0\0\0\0\0\0\0");
        assert_eq!(payload(None, Some(60))[..6], *b"\xa2\x64door");
        assert!(View::new(None, Some(ContentFormat::TEXT)).is_none());
        assert!(View::new(Some("door"), Some(ContentFormat::OCTETS)).is_none());
        assert!(View::new(Some("co2"), None).unwrap().of(&device("the lounge")).is_none());
    }

    #[test]
    fn senml_names_the_device_and_has_units_and_times() {
        assert_eq!(
            String::from_utf8(payload(None, Some(110))).unwrap(),
            r#"[{"bn":"the_lounge/","n":"door","t":1795132800.5,"v":1.0},{"n":"temperature","t":1795132800.5,"u":"Cel","v":21.5}]"#
        );
        let cbor = payload(Some("temperature"), Some(112));
        assert_eq!(cbor[..4], *b"\x81\xa5\x21\x6b");
        assert_eq!(cbor.len(), 4 + 11 + 1 + 12 + 1 + 4 + 1 + 9 + 1 + 9);
    }

    #[test]
    fn a_tag_is_of_a_value_in_a_format() {
        let tag = |metric, accept| {
            let view = View::new(Some(metric), accept).unwrap();
            view.of(&device("lounge")).unwrap().etag.unwrap()
        };
        assert_eq!(tag("door", None), tag("door", Some(ContentFormat::TEXT)));
        assert_ne!(tag("door", None), tag("temperature", None));
        assert_ne!(tag("door", None), tag("door", Some(ContentFormat::JSON)));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([21.0, 0.1, -3.25, 0.0].map(number), ["21", "0.1", "-3.25", "0"]);
        assert_eq!([1e300, -1e-9].map(number), ["1e300", "-1e-9"]);
    }
}
