//! RFC 8428 §4.6: base fields applied, times made absolute.

use gateway_core::{DeviceAddress, Timestamp};

use super::Value;
use super::pack::Record;

/// A record that needs no other.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Base name and name, joined the full name.
    pub(super) base_name: String,
    pub(super) own_name: String,
    pub(super) unit: Option<String>,
    pub(super) value: Option<Value>,
    pub(super) sum: Option<f64>,
    /// Seconds since 1970.
    pub(super) time: f64,
    /// Whether the pack said a time; else it is the arrival's.
    pub(super) has_time: bool,
    pub(super) update_time: Option<f64>,
    /// Where it is not the default, 10.
    pub(super) version: Option<f64>,
}

/// The base fields in force: each holds until a later record sets it again.
#[derive(Debug)]
pub(super) struct Resolver {
    now: f64,
    /// The link names the device, so a record need not.
    device_is_known: bool,
    name: String,
    time: Option<f64>,
    unit: Option<String>,
    value: Option<f64>,
    sum: Option<f64>,
    version: Option<f64>,
}

const DEFAULT_VERSION: f64 = 10.0;
/// RFC 9100: a version above 10 is 10 and the bits of the features that the pack needs. Of those only secondary units
/// (2^4) are known.
const VERSION_WITH_SECONDARY_UNITS: f64 = 26.0;
/// §4.5.3: times from here on are absolute.
const FIRST_ABSOLUTE_TIME: f64 = 268_435_456.0; // 2^28
/// Beyond the year 5000 lies only a mistake, such as milliseconds.
const LAST_TIME: f64 = 1e11;

/// In bytes. Base fields stand once in a pack and count in every record, so their length must have a bound.
const MAX_NAME: usize = DeviceAddress::MAX_BYTES;
const MAX_UNIT: usize = 32;

fn check_length(text: &str, most: usize) -> Result<(), &'static str> {
    if text.len() <= most { Ok(()) } else { Err("has a name above 256 bytes or a unit above 32") }
}

impl Resolver {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into 53 bits for 285,000 years"
    )]
    pub(super) fn new(now: Timestamp, device_is_known: bool) -> Self {
        Self {
            now: now.as_millis() as f64 / 1000.0,
            device_is_known,
            name: String::new(),
            time: None,
            unit: None,
            value: None,
            sum: None,
            version: None,
        }
    }

    /// `None` for a record that only sets base fields.
    pub(super) fn resolve(&mut self, record: Record) -> Result<Option<Resolved>, &'static str> {
        let only_base = record.name.is_none() && record.value.is_none() && record.sum.is_none();
        let sets_base = record.base_name.is_some()
            || record.base_time.is_some()
            || record.base_unit.is_some()
            || record.base_value.is_some()
            || record.base_sum.is_some()
            || record.base_version.is_some();
        let Record { name, unit, value, sum, time, update_time, .. } = self.take_base(record)?;
        if only_base && sets_base {
            return Ok(None);
        }
        let value = self.value_of(value);
        let sum = sum.or(self.sum.map(|_| 0.0)).map(|sum| sum + self.sum.unwrap_or(0.0));
        if value.is_none() && sum.is_none() {
            return Err("has neither a value nor a sum");
        }
        let own_name = name.unwrap_or_default();
        self.check_name(&own_name)?;
        let unit = unit.or_else(|| self.unit.clone());
        let has_time = time.is_some() || self.time.is_some();
        Ok(Some(Resolved {
            base_name: self.name.clone(),
            own_name,
            unit,
            value,
            sum,
            time: self.time_of(time)?,
            has_time,
            update_time,
            version: self.version.filter(|version| *version != DEFAULT_VERSION),
        }))
    }

    fn take_base(&mut self, mut record: Record) -> Result<Record, &'static str> {
        if let Some(name) = record.base_name.take() {
            check_length(&name, MAX_NAME)?;
            self.name = name;
        }
        for unit in [&record.base_unit, &record.unit].into_iter().flatten() {
            check_length(unit, MAX_UNIT)?;
        }
        self.take_version(record.base_version.take())?;
        self.time = record.base_time.or(self.time);
        self.unit = record.base_unit.take().or(self.unit.take());
        self.value = record.base_value.or(self.value);
        self.sum = record.base_sum.or(self.sum);
        Ok(record)
    }

    /// §4.4: one version for the whole pack, and none with features that are not understood. A first record without one
    /// has the default.
    fn take_version(&mut self, said: Option<f64>) -> Result<(), &'static str> {
        let Some(version) = said.or(self.version.is_none().then_some(DEFAULT_VERSION)) else { return Ok(()) };
        let is_known = (1.0..=DEFAULT_VERSION).contains(&version) && version.fract() == 0.0;
        if !is_known && version != VERSION_WITH_SECONDARY_UNITS {
            return Err("has a `bver` that is not known; up to 10, and 26, are");
        }
        if self.version.replace(version).is_some_and(|before| before != version) {
            return Err("has another `bver` than the records before");
        }
        Ok(())
    }

    /// A base value is added to numbers; alone it is the value.
    fn value_of(&self, value: Option<Value>) -> Option<Value> {
        match (value, self.value) {
            (Some(Value::Number(value)), Some(base)) => Some(Value::Number(base + value)),
            (None, Some(base)) => Some(Value::Number(base)),
            (value, _) => value,
        }
    }

    /// §4.5.1: letters, digits and `-:./_`, the first a letter or digit.
    fn check_name(&self, own: &str) -> Result<(), &'static str> {
        check_length(own, MAX_NAME)?;
        let mut bytes = self.name.bytes().chain(own.bytes());
        let Some(first) = bytes.next() else {
            return if self.device_is_known { Ok(()) } else { Err("has no name") };
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-:./_".contains(&byte);
        if first.is_ascii_alphanumeric() && bytes.all(allowed) {
            Ok(())
        } else {
            Err("has a name with characters other than letters, digits and -:./_")
        }
    }

    /// §4.5.3.
    fn time_of(&self, time: Option<f64>) -> Result<f64, &'static str> {
        let time = self.time.unwrap_or(0.0) + time.unwrap_or(0.0);
        let time = if time < FIRST_ABSOLUTE_TIME { self.now + time } else { time };
        if time.abs() < LAST_TIME { Ok(time) } else { Err("has a time that is not a time in seconds") }
    }
}
