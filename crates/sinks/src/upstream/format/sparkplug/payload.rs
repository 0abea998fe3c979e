//! The part of Sparkplug B's protobuf payload (Eclipse Sparkplug 3.0, section 6.4.1) that is written and read here.

use gateway_core::Timestamp;
use prost::Message;

use crate::upstream::format::fields::Value;

/// The control that asks for all births again.
pub(super) const REBIRTH: &str = "Node Control/Rebirth";

/// The largest command that is read, in bytes.
const MAX_COMMAND: usize = 16 * 1024;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    /// Milliseconds since 1970, as all times here.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "MetricValue", tags = "11, 13, 14, 15")]
    pub(super) value: Option<MetricValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum MetricValue {
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<PropertyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertyValue {
    #[prost(uint32, optional, tag = "1")]
    pub(super) datatype: Option<u32>,
    #[prost(string, optional, tag = "8")]
    pub(super) text: Option<String>,
}

/// The data types that are used, with their numbers in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataType {
    Int64 = 4,
    Double = 10,
    Boolean = 11,
    String = 12,
    DateTime = 13,
}

impl DataType {
    pub(super) const fn of(value: &Value) -> Self {
        match value {
            Value::Float(_) => Self::Double,
            Value::Int(_) => Self::Int64,
            Value::Text(_) => Self::String,
            Value::Time(_) => Self::DateTime,
        }
    }
}

impl Metric {
    /// `None` and what is no finite number are null.
    pub(super) fn new(name: &str, datatype: DataType, value: Option<&Value>, at: Timestamp) -> Self {
        let value = value.and_then(|value| match value {
            Value::Float(number) => number.is_finite().then_some(MetricValue::Double(*number)),
            Value::Int(number) => Some(MetricValue::Long(number.cast_unsigned())),
            Value::Text(text) => Some(MetricValue::Text(text.clone())),
            Value::Time(time) => Some(MetricValue::Long(millis(*time))),
        });
        Self {
            name: Some(name.to_owned()),
            timestamp: Some(millis(at)),
            datatype: Some(datatype as u32),
            is_historical: None,
            is_null: value.is_none().then_some(true),
            properties: None,
            value,
        }
    }

    /// Adds the property `engUnit`.
    pub(super) fn with_unit(mut self, unit: Option<&str>) -> Self {
        self.properties = unit.map(|unit| PropertySet {
            keys: vec!["engUnit".to_owned()],
            values: vec![PropertyValue {
                datatype: Some(DataType::String as u32),
                text: Some(unit.to_owned()),
            }],
        });
        self
    }
}

pub(super) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0)
}

/// Whether an NCMD asks for a rebirth. It comes from outside: what cannot be read does not.
pub(super) fn asks_for_rebirth(command: &[u8]) -> bool {
    if command.len() > MAX_COMMAND {
        return false;
    }
    let Ok(payload) = Payload::decode(command) else { return false };
    payload.metrics.iter().any(|metric| {
        metric.name.as_deref() == Some(REBIRTH) && metric.value == Some(MetricValue::Boolean(true))
    })
}
